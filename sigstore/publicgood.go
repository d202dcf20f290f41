package sigstore

import _ "embed"

// PublicGoodSnapshot says of what time [PublicGood] is, for people.
const PublicGoodSnapshot = "as of version 12 of its TUF root, which was in force until 2025-08-19"

// publicGood is the target trusted_root.json of Sigstore's TUF repository, byte
// for byte: facts about a public service.
//
//go:embed publicgood.json
var publicGood []byte

// PublicGood returns the trusted root of Sigstore's public instance as it was
// when the snapshot was taken (see [PublicGoodSnapshot]): nothing is asked for a
// newer one. It is for whoever asks for it by name; nobody trusts it by default.
// Logs and authorities that Sigstore has added since are missing, and what it
// has retired since still counts.
func PublicGood() (*TrustedRoot, error) { return NewTrustedRoot(publicGood) }
