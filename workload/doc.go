// Package workload reads what Kubernetes objects hold that matters to a
// decision: their images, with exact JSON pointers, and whose credentials pull
// them. Objects are walked as JSON, so that a field that this version of the
// module does not know is neither lost nor in the way.
//
// It decides nothing, and refuses what it cannot read: an object of a kind that
// a door is registered for and that is not understood is an error, never an
// object without images (TRUST R43).
package workload
