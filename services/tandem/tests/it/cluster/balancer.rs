//! What stands before several processes of one role: a connection goes to the next one that takes it, as with a Service of
//! Kubernetes.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use chassis::task::{self, AbortOnDrop, TaskKind};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

/// Listens until it is dropped.
pub(crate) struct Balancer {
    pub(crate) address: SocketAddr,
    backends: Arc<Mutex<Vec<SocketAddr>>>,
    _task: AbortOnDrop<()>,
}

impl Balancer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let backends = Arc::<Mutex<Vec<SocketAddr>>>::default();
        let serve = serve(listener, Arc::clone(&backends));
        let task = task::spawn_abort_on_drop(TaskKind::Listener, "balancer", serve);
        Self { address, backends, _task: task }
    }

    /// Those that new connections go to.
    pub(crate) fn set(&self, backends: Vec<SocketAddr>) {
        *self.backends.lock().unwrap() = backends;
    }
}

async fn serve(listener: TcpListener, backends: Arc<Mutex<Vec<SocketAddr>>>) {
    let mut turn = 0;
    while let Ok((client, _)) = listener.accept().await {
        let known = backends.lock().unwrap().clone();
        turn += 1;
        let order = known.iter().cycle().skip(turn % known.len().max(1)).take(known.len());
        let order: Vec<SocketAddr> = order.copied().collect();
        task::spawn(TaskKind::Connection, "balanced", carry(client, order)).detach();
    }
}

/// Carries bytes between the client and the first backend that takes the connection; without one the client is cut off.
async fn carry(mut client: TcpStream, order: Vec<SocketAddr>) {
    let _ = client.set_nodelay(true);
    for backend in order {
        if let Ok(mut backend) = TcpStream::connect(backend).await {
            let _ = backend.set_nodelay(true);
            drop(copy_bidirectional(&mut client, &mut backend).await);
            return;
        }
    }
}
