package notation

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

const (
	anyIdentity   = "*"
	subjectPrefix = "x509.subject"

	// maxIdentities bounds a statement's list: overlaps are looked for pairwise.
	maxIdentities = 100
	// maxName bounds a distinguished name before it is parsed. A name in use has
	// some hundred characters; a hostile one made parsers allocate without end
	// (CVE-2023-25656).
	maxName = 4096
)

// checkIdentities refuses what this package would not honour. The grammar of
// names and their overlaps are left to the trust policy's own validation, other
// kinds of identities to a plugin that replaces our check.
func checkIdentities(identities []string, plugins []Plugin) error {
	byPlugin := slices.ContainsFunc(plugins, func(p Plugin) bool { return p.replaces(ReplacesTrustedIdentity) })
	if len(identities) > maxIdentities {
		return fmt.Errorf("expected at most %d trusted identities, got %d", maxIdentities, len(identities))
	}
	for _, identity := range identities {
		if len(identity) > maxName {
			return fmt.Errorf("expected a trusted identity of at most %d bytes, got %d", maxName, len(identity))
		}
		if identity == anyIdentity {
			continue
		}
		prefix, name, found := strings.Cut(identity, ":")
		if found && prefix != "" && prefix != subjectPrefix && byPlugin {
			continue
		}
		if !found || prefix != subjectPrefix {
			return fmt.Errorf("trusted identity %q: expected \"*\" or \"x509.subject: <distinguished name>\", or a plugin that replaces %s", clip(identity), ReplacesTrustedIdentity)
		}
		if strings.Contains(name, "=#") {
			return fmt.Errorf("trusted identity %q: expected a name without hexadecimal values (\"=#\")", identity)
		}
	}
	return nil
}

// identityOf names a signer for thresholds (TRUST R28). It is the subject
// alone, its attributes in a fixed order: a second certificate, intermediate or
// root of the same party makes no second signer.
func identityOf(leaf *x509.Certificate) string {
	names := slices.Clone(leaf.Subject.Names)
	if len(names) == 0 {
		sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
		return "notation:key sha256:" + hex.EncodeToString(sum[:])
	}
	parts := make([]string, 0, len(names))
	for _, n := range names {
		parts = append(parts, pkix.RDNSequence{{n}}.String())
	}
	slices.Sort(parts)
	return "notation:" + strings.Join(parts, ",")
}

// subjectOf is the leaf's subject for people.
func subjectOf(leaf *x509.Certificate) string {
	if s := leaf.Subject.String(); s != "" {
		return clip(printable(s))
	}
	return "a certificate without subject"
}

// maxQuoted bounds what a message repeats of hostile input.
const maxQuoted = 200

func clip(s string) string {
	if len(s) <= maxQuoted {
		return s
	}
	return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
}

// printable keeps hostile text from ending a line of a log or a table.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
