// Package server answers over HTTP whether images may run. It has one decider
// and several doors, of which this is the duty: to read what a caller asks, to
// bound it, and to render the decision as the caller's protocol wants it. It
// decides nothing itself, and whatever goes wrong on the way to a decision or
// back is answered with a refusal (TRUST R48).
//
// The doors share one TLS port. Metrics and health are on a port of their own,
// in plain HTTP.
package server
