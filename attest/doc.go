// Package attest tests what signed statements and artifacts say.
//
// A condition is an expression of the Common Expression Language (CEL) over the
// verified statement, the image and the request. Beside the language's own
// functions there are some that read software bills of materials, scan reports,
// build provenance and OpenVEX documents; they fail closed on what they do not know,
// and on those that list nothing (TRUST R32).
//
// The package verifies nothing: what it is shown has been verified. It fetches
// nothing, and reads no clock.
package attest
