//! Whoever stands at the enrolment door: a device byte by byte, or somebody between it and the gateway.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
};
use vaka_protocol::enrol::{
    ALPN, ANSWER_BYTES_MAX, EXPORTER_LABEL, Granted, REQUEST_BYTES_MAX, Request, Secret, length,
};

/// Longest wait for an answer: longer than the door waits for a request.
const ANSWER: Duration = Duration::from_secs(20);

/// A connection to the enrolment door that trusts any certificate and can say anything.
pub struct Stranger {
    tls: StreamOwned<ClientConnection, TcpStream>,
}

impl Stranger {
    /// TLS 1.3 with the door's protocol.
    pub fn open(port: u16) -> io::Result<Stranger> {
        Stranger::open_from(port, Ipv4Addr::LOCALHOST)
    }

    /// The same from another address of this machine (127.0.0.0/8).
    pub fn open_from(port: u16, from: Ipv4Addr) -> io::Result<Stranger> {
        static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let config = CONFIG.get_or_init(|| config(&[&rustls::version::TLS13], true)).clone();
        Stranger::with(port, from, config)
    }

    /// With TLS 1.2 alone.
    pub fn open_tls12(port: u16) -> io::Result<Stranger> {
        Stranger::with(port, Ipv4Addr::LOCALHOST, config(&[&rustls::version::TLS12], true))
    }

    /// Without saying which protocol it wants.
    pub fn open_without_alpn(port: u16) -> io::Result<Stranger> {
        Stranger::with(port, Ipv4Addr::LOCALHOST, config(&[&rustls::version::TLS13], false))
    }

    fn with(port: u16, from: Ipv4Addr, config: Arc<ClientConfig>) -> io::Result<Stranger> {
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        let mut tcp = connect_from(port, from)?;
        tcp.set_read_timeout(Some(ANSWER))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp)?;
        }
        Ok(Stranger { tls: StreamOwned::new(connection, tcp) })
    }

    pub fn exporter(&self) -> [u8; 32] {
        self.tls.conn.export_keying_material([0; 32], EXPORTER_LABEL, None).expect("a finished handshake")
    }

    /// Sends bytes behind their length and brings the answer's.
    pub fn say(&mut self, message: &[u8]) -> io::Result<Vec<u8>> {
        write(&mut self.tls, message)?;
        read(&mut self.tls, ANSWER_BYTES_MAX)
    }

    /// Says nothing; true once the door has closed, false if it keeps the connection for longer than it should.
    pub fn is_let_go(&mut self) -> bool {
        match self.tls.read(&mut [0; 1]) {
            Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
            Ok(n) => n == 0,
        }
    }

    /// A whole request of a code that is nobody's.
    pub fn guess(&mut self, secret: &Secret) -> io::Result<Vec<u8>> {
        let exporter = self.exporter();
        let mut buffer = [0; 512];
        let written = Request::new(secret, &exporter, None, b"csr").write(&mut buffer).expect("it fits");
        self.say(&buffer[2..written])
    }
}

/// A TCP connection from an address of this machine.
pub fn connect_from(port: u16, from: Ipv4Addr) -> io::Result<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn write(stream: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let prefix = u16::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes();
    stream.write_all(&prefix)?;
    stream.write_all(message)?;
    stream.flush()
}

fn read(stream: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let mut prefix = [0; 2];
    stream.read_exact(&mut prefix)?;
    let mut message = vec![0; length(prefix, most).map_err(io::Error::other)?];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn config(versions: &[&'static SupportedProtocolVersion], with_alpn: bool) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("ring speaks it")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    if with_alpn {
        config.alpn_protocols = vec![ALPN.to_vec()];
    }
    Arc::new(config)
}

/// What somebody between a device and its gateway does with the device's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Passes it on to the gateway, and the answer back.
    Relay(u16),
    /// Answers by himself, with a certificate of his own and a made-up proof.
    Forge,
}

/// Somebody between: takes the device's TLS with a certificate of his own.
pub struct Between {
    pub port: u16,
    heard: Arc<AtomicUsize>,
}

impl Between {
    /// With a chain and a key that he has; `None`: self-signed.
    pub fn start(trick: Trick, shown: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>) -> Between {
        let (chain, key) = shown.unwrap_or_else(|| {
            let key = KeyPair::generate().expect("a key");
            let made = CertificateParams::new(vec!["localhost".into()]).expect("a name").self_signed(&key);
            let key_der = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
            (vec![made.expect("a certificate").der().clone()], key_der)
        });
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("ring speaks it")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("they fit");
        config.alpn_protocols = vec![ALPN.to_vec()];
        let (config, heard) = (Arc::new(config), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let counted = heard.clone();
        std::thread::spawn(move || {
            for tcp in listener.incoming().map_while(Result::ok) {
                let connection = ServerConnection::new(config.clone()).expect("a TLS server");
                // Whether it goes well is for the device and the gateway to say.
                let _ = serve(StreamOwned::new(connection, tcp), trick, &counted);
            }
        });
        Between { port, heard }
    }

    /// Requests that devices have sent him.
    pub fn heard(&self) -> usize {
        self.heard.load(Ordering::SeqCst)
    }
}

fn serve(mut tls: StreamOwned<ServerConnection, TcpStream>, trick: Trick, heard: &AtomicUsize) -> io::Result<()> {
    tls.sock.set_read_timeout(Some(ANSWER))?;
    let request = read(&mut tls, REQUEST_BYTES_MAX)?;
    heard.fetch_add(1, Ordering::SeqCst);
    let answer = match trick {
        Trick::Relay(port) => Stranger::open(port)?.say(&request)?,
        Trick::Forge => {
            let mut buffer = [0; 512];
            let granted = Granted { certificate: b"his", ca: b"his", id: "p1", port: 8883, at: 0 };
            let answer = vaka_protocol::enrol::Answer::Granted(granted, [7; 32]);
            let written = answer.write(&mut buffer).expect("it fits");
            buffer[2..written].to_vec()
        }
    };
    write(&mut tls, &answer)?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Takes any certificate; the handshake's signature is judged, as a stranger's library does too.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
