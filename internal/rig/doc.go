// Package rig runs the real counterparts of Bonafide for tests: etcd, the
// Kubernetes API server and a registry, each as a process on loopback, built
// once from Go modules under hack/. Beside them it runs Bonafide itself.
//
// [Shared] gives one cluster to all tests of a package; [Start] gives a test
// one of its own; [StartRegistry] starts a registry. [StartGatekeeper] and
// [StartKyverno] run those programs for a cluster, [StartRatify] runs Ratify,
// [NewCosign] the cosign command, [Shared.StartBonafide] `bonafide serve`, and
// [Cluster.StartWatchProxy] an API server that drops watches. What such tests
// share stands beside: images and keys, an example's files, Pods.
// Nothing outlives the test process: every child ends with its test, and is
// killed by the kernel if the test process dies.
//
// It is test support. It schedules nothing and runs no controllers: a Pod stays
// Pending, a Deployment makes no ReplicaSet, a deleted namespace stays
// Terminating.
package rig
