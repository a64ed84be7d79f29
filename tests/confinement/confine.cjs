// Node.js requires this as it starts, by NODE_OPTIONS: sockets connect to this machine only.
const fs = require("node:fs");
const net = require("node:net");

const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...given) {
  const [options] = Array.isArray(given[0]) ? given[0] : net._normalizeArgs(given);
  const host = options.host || "localhost";
  const isLoopback = options.path || host === "localhost" || host === "::1" || host.startsWith("127.");
  if (!isLoopback) {
    fs.appendFileSync(process.env.LOOPBACK_ONLY, `${host}\n`);
    throw new Error(`${host} is not this machine; tests reach nothing else`);
  }
  return connect.apply(this, given);
};
