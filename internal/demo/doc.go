// Package demo shows the main job in one process and without a network: a
// registry with images that are signed well, badly and not at all, policies,
// the real server with TLS, and real AdmissionReviews.
package demo
