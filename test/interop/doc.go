// Package interop holds the tests against other projects' programs as they are
// released: Gatekeeper, Kyverno, Ratify and cosign. It has tests only, behind
// the build tag interop, since those programs take long to build; `make
// interop` runs them. The processes come from internal/rig.
package interop
