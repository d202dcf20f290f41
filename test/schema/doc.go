// Package schema holds what the custom resource definitions of config/crd
// promise, tried at a real API server: valid examples are taken, invalid ones
// are refused in words that a person understands, and what is stored is what
// dialect/native reads. It also generates those definitions from api/v1alpha1.
// It has tests only; the API server comes from internal/rig.
package schema
