// Package imageref parses, normalises and matches names of container images.
//
// Its types are values: comparable, immutable, and impossible to hold in a
// malformed state, since only the Parse functions make them. The package does
// no I/O and imports nothing of this module.
//
// Two spellings of one image give one canonical form (TRUST R11): the host is
// lower-cased, its default port dropped and every alias of Docker Hub replaced
// by docker.io, "library/" is inserted for its official images, and a
// reference without tag and digest gets the tag "latest". An IPv6 address has
// one spelling. The spelling that was parsed is kept beside it, for messages and
// patches.
//
// What kubelet and this package both accept has the same meaning for both. This
// package accepts less: no identifier of an image in place of a name, no digest
// but sha256 and sha512, no second spelling of a port or of an IPv4 address.
package imageref
