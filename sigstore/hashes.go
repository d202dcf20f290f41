package sigstore

import (
	"crypto"

	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
)

// sha2 are the hashes that name what was signed: as in-toto and OCI write them,
// and in Sigstore's protocol.
var sha2 = [...]struct {
	name   string
	number protocommon.HashAlgorithm
	hash   crypto.Hash
}{
	{"sha256", protocommon.HashAlgorithm_SHA2_256, crypto.SHA256},
	{"sha384", protocommon.HashAlgorithm_SHA2_384, crypto.SHA384},
	{"sha512", protocommon.HashAlgorithm_SHA2_512, crypto.SHA512},
}

// hashNamed returns the hash with a name; 0 for any other.
func hashNamed(name string) crypto.Hash {
	for _, known := range sha2 {
		if known.name == name {
			return known.hash
		}
	}
	return 0
}

// hashNumbered returns a hash of the protocol and its name; 0 for any other.
func hashNumbered(number protocommon.HashAlgorithm) (crypto.Hash, string) {
	for _, known := range sha2 {
		if known.number == number {
			return known.hash, known.name
		}
	}
	return 0, ""
}
