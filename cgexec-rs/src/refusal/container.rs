//! The engine that created this container, and how to make its control groups writable.

use std::path::Path;

/// The known engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Docker,
    Podman,
    Kubernetes,
}

impl Engine {
    /// Detects the engine by the files that engines leave; `exists` looks for a file.
    fn find(exists: impl Fn(&str) -> bool, in_pod: bool) -> Option<Self> {
        // a pod's engine leaves its own file, too
        if in_pod || exists("/var/run/secrets/kubernetes.io") {
            Some(Self::Kubernetes)
        } else if exists("/run/.containerenv") {
            Some(Self::Podman)
        } else {
            exists("/.dockerenv").then_some(Self::Docker)
        }
    }

    const fn writable_hierarchy(engine: Option<Self>) -> &'static str {
        match engine {
            Some(Self::Docker) => {
                "start the container with docker run --security-opt writable-cgroups=true, or --privileged where that is unknown"
            }
            Some(Self::Podman) => {
                "start the container with podman run --cgroupns=private --security-opt unmask=/sys/fs/cgroup"
            }
            Some(Self::Kubernetes) => {
                "the pod's container needs securityContext: {privileged: true}, or its node cgroup_writable = true in containerd's runtime options"
            }
            None => {
                "start the container with docker's --security-opt writable-cgroups=true or --privileged, or podman's --security-opt unmask=/sys/fs/cgroup"
            }
        }
    }
}

/// How to start this container so that /sys/fs/cgroup is writable.
pub fn writable_hierarchy() -> &'static str {
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    Engine::writable_hierarchy(Engine::find(|file| Path::new(file).exists(), in_pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_is_known_by_its_mark() {
        let find = |marks: &[&str], in_pod| Engine::find(|file| marks.contains(&file), in_pod);
        assert_eq!(find(&["/.dockerenv"], false), Some(Engine::Docker));
        assert_eq!(find(&["/run/.containerenv"], false), Some(Engine::Podman));
        assert_eq!(find(&["/.dockerenv"], true), Some(Engine::Kubernetes));
        assert_eq!(
            find(&["/run/.containerenv", "/var/run/secrets/kubernetes.io"], false),
            Some(Engine::Kubernetes)
        );
        assert_eq!(find(&[], false), None);
    }

    #[test]
    fn each_has_its_own_hint() {
        let said = |engine| Engine::writable_hierarchy(engine);
        assert!(said(Some(Engine::Docker)).contains("docker run --security-opt writable-cgroups=true"));
        assert!(said(Some(Engine::Podman)).contains("podman run --cgroupns=private --security-opt unmask="));
        assert!(said(Some(Engine::Kubernetes)).contains("privileged: true"));
        assert!(said(None).contains("docker's") && said(None).contains("podman's"));
    }
}
