//! deploy/camera.nft in network namespaces of its own: a camera reaches nothing, and only the gateway reaches it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Namespaces that go with this.
struct Nets(Vec<String>);

impl Drop for Nets {
    fn drop(&mut self) {
        for name in &self.0 {
            run(&format!("ip netns del {name}"));
        }
    }
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let quiet = Command::new(words.next().expect("a program"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// A server in `net`, listening.
fn server(net: &str, address: &str) -> Server {
    let child = Command::new("ip")
        .args(["netns", "exec", net, "python3", "-u", "-m", "http.server", "8000", "--bind", address])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.expect("a server");
    let mut line = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().expect("its output"));
    std::io::BufRead::read_line(&mut output, &mut line).expect("it says when it listens");
    Server(child)
}

/// Whether `net` gets an answer from `address`. What is dropped is given up after a second.
fn reaches(net: &str, address: &str) -> bool {
    run(&format!("ip netns exec {net} timeout 1 bash -c :</dev/tcp/{address}/8000"))
}

#[test]
fn a_camera_reaches_nothing_and_only_the_gateway_reaches_it() {
    let id = std::process::id();
    let [gateway, camera, home] = ["gw", "cam", "home"].map(|name| format!("vk{id}{name}"));
    let skip = |reason: &str| println!("SKIP a_camera_reaches_nothing_and_only_the_gateway_reaches_it: {reason}");
    if !run("nft --version") {
        return skip("no peer: nft");
    }
    if !run(&format!("ip netns add {gateway}")) {
        return skip("needs root: network namespaces");
    }
    let nets = Nets(vec![gateway.clone(), camera.clone(), home.clone()]);
    for command in [
        format!("ip netns add {camera}"),
        format!("ip netns add {home}"),
        format!("ip -n {gateway} link add cameras type veth peer name eth0 netns {camera}"),
        format!("ip -n {gateway} link add lan type veth peer name eth0 netns {home}"),
        format!("ip -n {gateway} addr add 192.168.90.1/24 dev cameras"),
        format!("ip -n {gateway} addr add 192.168.1.1/24 dev lan"),
        format!("ip -n {camera} addr add 192.168.90.4/24 dev eth0"),
        format!("ip -n {home} addr add 192.168.1.9/24 dev eth0"),
        format!("ip -n {gateway} link set cameras up"),
        format!("ip -n {gateway} link set lan up"),
        format!("ip -n {camera} link set eth0 up"),
        format!("ip -n {home} link set eth0 up"),
        format!("ip -n {camera} route add default via 192.168.90.1"),
        format!("ip -n {home} route add default via 192.168.1.1"),
        format!("ip netns exec {gateway} sysctl -qw net.ipv4.ip_forward=1"),
    ] {
        assert!(run(&command), "{command}");
    }
    let _servers = [server(&gateway, "0.0.0.0"), server(&camera, "192.168.90.4"), server(&home, "192.168.1.9")];
    let ways = [
        ("the gateway to the camera", &gateway, "192.168.90.4", true),
        ("the gateway to the home", &gateway, "192.168.1.9", true),
        ("the home to the gateway", &home, "192.168.1.1", true),
        ("the camera to the gateway", &camera, "192.168.90.1", false),
        ("the camera to the gateway's other address", &camera, "192.168.1.1", false),
        ("the camera to the home", &camera, "192.168.1.9", false),
        ("the home to the camera", &home, "192.168.90.4", false),
    ];
    // Without it everything is open: what is shut below is its doing.
    for (what, from, to, _) in ways {
        assert!(reaches(from, to), "{what}, before");
    }
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/camera.nft");
    // Twice: loading it again replaces it.
    for _ in 0..2 {
        assert!(run(&format!("ip netns exec {gateway} nft -f {}", rules.display())), "nft takes {}", rules.display());
    }
    for (what, from, to, is_open) in ways {
        assert_eq!(reaches(from, to), is_open, "{what}");
    }
    drop(nets);
}
