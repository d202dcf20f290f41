// Package registry reads container registries: authenticated, bounded and
// read-only. A [Client] hands out an [evidence.Source] for one repository and
// the credentials of one puller; a [Layout] is the same for an image layout on
// disk.
//
// The registry and every byte from it is taken as hostile. Bytes, pages,
// redirects, time and concurrency are bounded; a digest is checked against the
// bytes it names; no header is believed. A tag costs one GET, and so does each
// object after it. Requests go to the registry that the image names, to
// redirect targets without credentials, and to token realms that are https on
// public addresses; which addresses may be dialled is checked on the address
// that is dialled.
//
// The package never pushes, deletes or lists, never decompresses, and never
// logs. Its errors are [*evidence.Problem] and hold no token, password or query
// string.
package registry
