// aedes with its LevelDB persistence behind mutual TLS, as its own documentation sets it up.
// Arguments: port on 127.0.0.1, folder with server-cert.pem, server-key.pem and device-ca.pem, folder of the database.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { Aedes } from 'aedes'
import levelPersistence from 'aedes-persistence-level'
import { Level } from 'level'

const [port, certificates, database] = process.argv.slice(2)
const pem = (name) => readFileSync(join(certificates, name))

const persistence = levelPersistence(new Level(database))
const broker = await Aedes.createBroker({ persistence })
const server = createServer(
  {
    cert: pem('server-cert.pem'),
    key: pem('server-key.pem'),
    ca: pem('device-ca.pem'),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.3'
  },
  (socket) => {
    socket.setNoDelay(true)
    broker.handle(socket)
  }
)
server.listen(Number(port), '127.0.0.1')
