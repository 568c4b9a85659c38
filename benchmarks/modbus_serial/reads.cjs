// Reads one meter's registers by npm modbus-serial, again and again on one connection: node reads.cjs PORT ADDRESS COUNT READS
// First the words (hex) go to stdout; then for each line on stdin a round, and its seconds: wall time and CPU time of this process.
const { createInterface } = require("node:readline");
const ModbusRTU = require("modbus-serial");

const [port, address, count, reads] = process.argv.slice(2).map(Number);

async function main() {
  const client = new ModbusRTU();
  await client.connectTCP("127.0.0.1", { port });
  client.setID(1);
  client.setTimeout(5000);
  console.log((await client.readInputRegisters(address, count)).buffer.toString("hex"));
  for await (const _ of createInterface({ input: process.stdin })) {
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    for (let i = 0; i < reads; i += 1) {
      await client.readInputRegisters(address, count);
    }
    const wall_s = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    console.log(JSON.stringify({ wall_s, cpu_s: (user + system) / 1e6 }));
  }
  client.close();
}

main();
