package policy

import "time"

// Testimony is what a proof rests on, for people who want to see it. Everything
// in it is verified unless its field says otherwise. It is immutable.
type Testimony struct {
	// Certificate is the one that the signature verifies with; nil for a key.
	Certificate *CertificateFacts
	// Entries are the transparency log's.
	Entries []LogFacts
	// Timestamps are those of timestamp authorities.
	Timestamps []time.Time
}

// CertificateFacts are what a signing certificate says.
type CertificateFacts struct {
	Identity string // its only subject alternative name
	Issuer   string // the OIDC issuer that vouched for the identity; empty for other CAs
	CA       string // the name of the authority that issued it
	// Serial and Fingerprint tell certificates apart: the serial number and the
	// SHA-256 of the certificate, in hexadecimal.
	Serial, Fingerprint string
	NotBefore, NotAfter time.Time
	// Extensions are the other facts that the authority certified, by the names
	// that policies use for them, such as sourceRepositoryURI.
	Extensions map[string]string
}

// LogFacts are an entry in a transparency log.
type LogFacts struct {
	Log   string    // the log's ID in hexadecimal
	Index int64     // where the log signed no time beside it, only what the signature's storage says
	Time  time.Time // when the log says that it was integrated; zero if it does not say
}

// Size is about what a testimony costs in memory, in bytes.
func (t *Testimony) Size() int {
	if t == nil {
		return 0
	}
	const each = 120
	size := each * (1 + len(t.Entries) + len(t.Timestamps))
	if c := t.Certificate; c != nil {
		size += each + len(c.Identity) + len(c.Issuer) + len(c.CA) + len(c.Serial) + len(c.Fingerprint)
		for name, value := range c.Extensions {
			size += len(name) + len(value) + each
		}
	}
	return size
}
