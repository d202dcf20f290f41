// Package policies keeps what a cluster's objects say about images: policies,
// exceptions and deny lists of every kind that a dialect reads, and the Secrets
// and ConfigMaps that they name. It watches the API server and hands out each
// state as a [Set], which is whole and never changes.
//
// Each object is compiled on its own. One that does not compile keeps its last
// good version, or else decides every image of its scope as undecided
// (TRUST R18); no other object notices. The package decides nothing, and writes
// nothing but the status of the native kinds ([Source.KeepStatus]).
//
// A kind is watched while its custom resource definition is established, in the
// first version that the dialect reads and the API server serves. Only a
// definition that is gone takes its objects with it: one that cannot be read, or
// an API server that is away, changes nothing of what is in force. How old that
// is, and which kinds cannot be read, [Source.Health] says.
//
// The Secrets and ConfigMaps that policies name are bounded: 50 for the policies
// of a namespace, 2000 for those of all namespaces, and 2000 for cluster-scoped
// ones, which no namespace can use up. A policy that names more than there is
// room for is one whose key is not to be had.
//
// What it asks of the API server, which its role must permit:
//
//   - apiextensions.k8s.io customresourcedefinitions: list, watch; one object at
//     a time, so resourceNames may hold the names of [Definitions];
//   - the resources of [Definitions], in all namespaces: list, watch;
//   - namespaces: list, watch; their metadata alone is kept;
//   - secrets and configmaps: list, watch; each by its name, when a policy names
//     it, so a Role with resourceNames in the namespaces of that material does;
//   - bonafide.dev */status: patch; by the replica that leads.
package policies
