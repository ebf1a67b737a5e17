//! A link that can be cut: a small loopback proxy between whoever connects and a server.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
};

const BUFFER_BYTES: usize = 64 * 1024;

/// What passes; what does not is held: it does not arrive, and nobody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flow {
    to_server: bool,
    to_client: bool,
}

const OPEN: Flow = Flow { to_server: true, to_client: true };
const CUT: Flow = Flow { to_server: false, to_client: false };
const MUTE: Flow = Flow { to_server: true, to_client: false };

/// A proxy on a loopback port of its own. Its connections end with it.
#[derive(Debug)]
pub struct Link {
    port: u16,
    flow: watch::Sender<Flow>,
    target: watch::Sender<u16>,
    _tasks: JoinSet<()>,
}

impl Link {
    /// An open link to this loopback port: to a server, or to another link.
    ///
    /// # Errors
    /// When the system has no port.
    pub async fn to(port: u16) -> io::Result<Self> {
        let link = Self::open().await?;
        link.lead_to(port);
        Ok(link)
    }

    /// An open link whose target is not known yet: connections wait for it.
    ///
    /// # Errors
    /// When the system has no port.
    pub async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let (flow, flows) = watch::channel(OPEN);
        let (target, targets) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, flows, targets));
        Ok(Self { port, flow, target, _tasks: tasks })
    }

    /// Where to connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections made from now on go to this loopback port; those that are there end.
    pub fn lead_to(&self, port: u16) {
        self.target.send_replace(port);
    }

    /// Holds everything that comes, as a network does that was divided: no connection is closed.
    pub fn cut(&self) {
        self.flow.send_replace(CUT);
    }

    /// Holds what comes from the server and passes on what goes to it: what is asked is done, and nobody hears of it.
    pub fn mute(&self) {
        self.flow.send_replace(MUTE);
    }

    /// Passes on what was held and what comes.
    pub fn heal(&self) {
        self.flow.send_replace(OPEN);
    }
}

async fn accept(
    listener: TcpListener,
    flows: watch::Receiver<Flow>,
    targets: watch::Receiver<u16>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((near, _)) => drop(connections.spawn(serve(near, flows.clone(), targets.clone()))),
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    near: TcpStream,
    mut flows: watch::Receiver<Flow>,
    mut targets: watch::Receiver<u16>,
) {
    let Ok(target) = targets.wait_for(|port| *port != 0).await.map(|port| *port) else { return };
    if flows.wait_for(|flow| flow.to_server).await.is_err() {
        return;
    }
    // A server that is not there: the near side sees its connection end.
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::select! {
        () = pump(near_read, far_write, flows.clone(), |flow| flow.to_server) => {}
        () = pump(far_read, near_write, flows, |flow| flow.to_client) => {}
        _ = targets.wait_for(|port| *port != target) => {}
    }
}

/// Ends when either side does.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut flows: watch::Receiver<Flow>,
    passes: fn(&Flow) -> bool,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let Ok(read) = from.read(&mut buffer).await else { return };
        if flows.wait_for(passes).await.is_err() {
            return;
        }
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}
