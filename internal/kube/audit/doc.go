// Package audit decides anew about what already runs: admission saw each Pod
// once, and policies, keys and lists of denied images change afterwards.
//
// A sweep lists the Pods page by page, decides each distinct question once, at
// low priority, and compares what kubelet says it runs with what was verified.
// The package reports and never acts: no Pod is changed, evicted or deleted.
// It trusts no label, annotation or owner of a Pod (TRUST R46): each Pod is
// asked about by its own images, whoever made it.
package audit
