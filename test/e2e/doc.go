// Package e2e holds the end-to-end tests: a real API server, real webhooks,
// real registries. It has tests only; the processes come from internal/rig.
package e2e
