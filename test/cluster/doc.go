// Package cluster holds tests of a whole installation: a real etcd and API
// server of their own, and replicas of the real binary that take their policies
// from that cluster, register their webhooks there and lose each other.
package cluster
