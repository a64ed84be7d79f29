#!/usr/bin/env bash
# Rolls a service back by hand: a thin cover of `aws lambda invoke`. See ./rollback.sh --help
set -euo pipefail

readonly DONE=0 FAILED=1 NOT_ROLLED_BACK=2

usage() {
  cat <<'TEXT'
Usage: ./rollback.sh SERVICE [REVISION] [options]

Rolls an ECS service back, to a revision of its family (18, auth-service:18 or an ARN), or
without one to the last revision that ran well. Shows the plan and asks before it acts.

  --plan           only show what would happen; nothing is changed
  --yes            do not ask (needed where there is no terminal)
  --force          skip the checks of the target; act over a rollback that is under way, and over
                   a change that is tagged as irreversible
  --cluster NAME   needed only if two protected services share the name
  --reason TEXT    why, for the record
  --name NAME      another installation: the function auto-rollback-NAME
  --help           this text

Account, Region and credentials are those of the aws command (AWS_PROFILE, AWS_REGION ...).
Exit code: 0 rolled back, planned, or nothing to do; 2 not rolled back (held, rejected, or you
said no); 1 it failed, and it is not known whether anything was changed unless the text says so.
TEXT
}

die() {
  printf '%s\n' "$1" >&2
  exit "${2:-$FAILED}"
}

wrong() { die "$1 (./rollback.sh --help)" "$NOT_ROLLED_BACK"; }

# A JSON string; line breaks become spaces, other control characters are dropped.
json() {
  printf '"%s"' "$(printf '%s' "$1" | LC_ALL=C tr '\n\r\t' '   ' | LC_ALL=C tr -d '\000-\037' | LC_ALL=C sed 's/[\\"]/\\&/g')"
}

# The first string of a key in the answer; the keys of the result itself come before all nested ones.
field() {
  { LC_ALL=C grep -oE "\"$1\": *\"([^\"\\\\]|\\\\.)*\"" "$answer" || true ; } | head -n 1 | LC_ALL=C sed -E 's/^"[A-Za-z_]+": *"(.*)"$/\1/' | unescaped
}

unescaped() { LC_ALL=C sed -e 's/\\n/ /g' -e 's/\\"/"/g' -e 's/\\\\/\\/g'; }

# What was looked at: rules that were passed are told in a plan only.
reasons() {
  { LC_ALL=C grep -oE '"rule": *"[^"]*", *"verdict": *"[^"]*", *"detail": *"([^"\\]|\\.)*"' "$answer" || true ; } |
    LC_ALL=C sed -E 's/^"rule": *"([^"]*)", *"verdict": *"([^"]*)", *"detail": *"(.*)"$/  \2: \1: \3/' |
    if [ "$1" = all ]; then cat; else LC_ALL=C grep -v '^  passed: ' || true; fi | unescaped
  LC_ALL=C grep -oE '"check": *"[^"]*", *"passed": *false, *"detail": *"([^"\\]|\\.)*"' "$answer" |
    LC_ALL=C sed -E 's/^"check": *"([^"]*)".*"detail": *"(.*)"$/  not passed: \1: \2/' | unescaped || true
}

invoke() {
  local action=$1 status
  {
    printf '{"action": %s, "service": %s' "$(json "$action")" "$(json "$service")"
    [ -z "$revision" ] || printf ', "revision": %s' "$(json "$revision")"
    [ -z "$cluster" ] || printf ', "cluster": %s' "$(json "$cluster")"
    [ -z "$reason" ] || printf ', "reason": %s' "$(json "$reason")"
    [ -z "$force" ] || printf ', "force": true'
    printf '}'
  } >"$folder/payload.json"
  # The function may take five minutes; a second try by the command line would ask for a second rollback.
  status=$(AWS_MAX_ATTEMPTS=1 AWS_PAGER='' aws lambda invoke --function-name "$function" --payload "fileb://$folder/payload.json" \
    --cli-read-timeout 310 --query FunctionError --output text "$answer" 2>"$folder/errors") || aws_failed
  if [ "$status" != None ]; then
    die "The function failed: $(field errorType): $(field errorMessage). Its log: /aws/lambda/$function"
  fi
}

aws_failed() {
  local said
  said=$(cat "$folder/errors")
  case $said in
    *ResourceNotFoundException*)
      die "There is no function $function in this account and Region. Is the stack deployed there? A second installation needs --name." ;;
    *[Cc]redentials* | *ExpiredToken* | *UnrecognizedClient* | *"Token has expired"*)
      die "AWS credentials are missing or no longer valid; log in first. aws says: $said" ;;
    *AccessDenied*) die "These credentials may not invoke $function (lambda:InvokeFunction). aws says: $said" ;;
    *"Read timeout"*)
      die "No answer within 310 s. Whether it rolled back is not known: look at the service before you try again." ;;
    *) die "aws failed: ${said:-it said nothing}" ;;
  esac
}

# Says what came of it, and ends unless a plan is to be followed by the act.
tell() {
  local outcome summary
  outcome=$(field outcome)
  summary=$(field summary)
  case $outcome in
    rolled_back) printf 'Rolled back: %s\n' "$summary" ; reasons deciding ; exit "$DONE" ;;
    would_roll_back) printf 'Plan: %s\n' "$summary" ; reasons all ;;
    held) printf 'Held: %s\n' "$summary" ; reasons deciding ; exit "$NOT_ROLLED_BACK" ;;
    rejected) die "Rejected: $summary" "$NOT_ROLLED_BACK" ;;
    ignored)
      if [ "$(field reason)" = already_running ]; then
        printf 'Nothing to do: %s\n' "$summary"
        exit "$DONE"
      fi
      printf 'Not rolled back: %s\n' "$summary"
      exit "$NOT_ROLLED_BACK" ;;
    'done') printf 'Begun: %s\n' "$summary" ; exit "$DONE" ;;
    failed) die "Failed: $summary" ;;
    *) die "The function answered what this script does not understand: $(head -c 500 "$answer")" ;;
  esac
}

service='' revision='' cluster='' reason='' name='' plan='' yes='' force=''
while [ $# -gt 0 ]; do
  case $1 in
    '') wrong "An argument is empty: is a variable not set?" ;;
    --help | -h) usage ; exit "$DONE" ;;
    --plan) plan=yes ;;
    --yes | -y) yes=yes ;;
    --force) force=yes ;;
    --cluster | --reason | --name)
      [ -n "${2:-}" ] || wrong "$1 needs a value"
      case $1 in --cluster) cluster=$2 ;; --reason) reason=$2 ;; --name) name=$2 ;; esac
      shift ;;
    --cluster= | --reason= | --name=) wrong "${1%=} needs a value" ;;
    --cluster=*) cluster=${1#*=} ;;
    --reason=*) reason=${1#*=} ;;
    --name=*) name=${1#*=} ;;
    -*) wrong "Unknown option $1" ;;
    *)
      if [ -z "$service" ]; then service=$1
      elif [ -z "$revision" ]; then revision=$1
      else wrong "One service and one revision at most; what is $1?"
      fi ;;
  esac
  shift
done
[ -n "$service" ] || { usage >&2 ; exit "$NOT_ROLLED_BACK" ; }
[ -n "$plan$yes" ] || [ -t 0 ] || wrong "There is no terminal to ask on: give --plan or --yes"
command -v aws >/dev/null || die "The aws command is missing: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"

function=auto-rollback${name:+-$name}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
answer=$folder/answer.json

if [ -n "$plan" ] || [ -z "$yes" ]; then
  invoke plan
  tell
  [ -z "$plan" ] || exit "$DONE"
  printf 'Roll back now? [y/N] '
  read -r said || said=''
  case $said in
    [yY] | [yY][eE][sS]) ;;
    *) printf 'Nothing was changed.\n' ; exit "$NOT_ROLLED_BACK" ;;
  esac
fi
invoke rollback
tell
