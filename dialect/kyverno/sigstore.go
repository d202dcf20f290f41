package kyverno

import (
	"bytes"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// signers are those of an attestor, and what it shares with its entry.
type signers struct {
	*attestor

	path        string
	annotations map[string]string
	repository  repository
}

// repository is where signatures are if not beside the image, and the path of
// the field that says so. An empty name is beside the image.
type repository struct{ path, name string }

// shared is what all Sigstore signers of an attestor have in common, and the
// paths of the fields by the names that a [dialect.SpecError] gives them.
type shared struct {
	dialect.SigstoreSpec

	fields map[string]string
}

// shared reads it; path is where rekor and ctlog are.
func (s *signing) shared(of signers, path string, r *rekor, l *ctlog) (shared, bool) {
	c := shared{fields: map[string]string{
		dialect.FieldTransparencyLog: path + ".rekor", dialect.FieldAnnotations: of.path + ".annotations",
		dialect.FieldRepository: of.repository.path, dialect.FieldRekor: path + ".rekor.pubkey",
		dialect.FieldCTLog: path + ".ctlog", dialect.FieldCTLogs: path + ".ctlog.pubkey", dialect.FieldTimestampCAs: path + ".ctlog.tsaCertChain",
	}}
	before := len(s.Errors)
	c.Repository = of.repository.name
	for _, name := range slices.Sorted(maps.Keys(of.annotations)) {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[name], _ = s.text(of.path+".annotations", of.annotations[name], s.variables)
	}
	parts := dialect.RootParts{Rest: true}
	c.LogIgnored, parts.Rekor = s.log(path+".rekor", r)
	if l != nil && l.TSACertChain != "" {
		if chain, ok := s.material(path+".ctlog.tsaCertChain", l.TSACertChain); ok {
			parts.TimestampAuthorities = [][]byte{chain}
		}
	}
	c.trust(parts)
	return c, len(s.Errors) == before
}

// trust replaces lists of the operator's trusted root by those that the policy
// has.
func (c *shared) trust(p dialect.RootParts) {
	if len(p.Fulcio)+len(p.Rekor)+len(p.CTLogs)+len(p.TimestampAuthorities) > 0 {
		c.TrustedRoot = &dialect.TrustedRootSpec{Parts: &p}
	}
}

// parts are those that trust was told.
func (c *shared) parts() dialect.RootParts {
	if c.TrustedRoot == nil {
		return dialect.RootParts{Rest: true}
	}
	return *c.TrustedRoot.Parts
}

// log says whether the transparency log is ignored, and else the keys of the
// log that counts, if they are not the operator's.
func (s *signing) log(path string, r *rekor) (ignored bool, keys [][]byte) {
	switch {
	case r == nil:
		return false, nil
	case r.IgnoreTlog:
		s.Weaker(path+".ignoreTlog", "true accepts signatures that no transparency log has seen: use of a stolen key leaves no trace")
		return true, nil
	case r.URL != "":
		s.Note(path+".url", "not contacted: entries come with signatures and are verified by the log's key, which is pubkey or of the operator's trusted root")
	}
	return false, s.each(path+".pubkey", r.PubKey)
}

// place returns another repository for signatures. A namespaced policy names
// none: it would be asked with the credentials of others (TRUST R17).
func (s *signing) place(path, name string) repository {
	if name == "" {
		return repository{}
	}
	name, ok := s.text(path, name, s.variables)
	switch {
	case !ok:
	case s.kind == notaryType:
		s.refuse(path, "signatures of type Notary are beside the image")
	case s.namespaced:
		s.Errorf(path, "expected none: a %s looks for signatures where the image is, for another repository would be asked with credentials that are not its own", namespacedKind)
	case strings.ContainsAny(name[strings.LastIndexByte(name, '/')+1:], ":@"):
		s.Errorf(path, "expected a repository without tag and digest, got %q", dialect.Clip(name))
	}
	return repository{path: path, name: name}
}

// material returns what a field holds: PEM, or PEM in base64. Nothing is nil.
func (s *signing) material(path, text string) ([]byte, bool) {
	text, ok := s.text(path, text, s.variables)
	if !ok {
		return nil, false
	}
	raw := []byte(text)
	if decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil {
		raw = decoded
	}
	if len(raw) > maxMaterialBytes {
		s.Errorf(path, "expected at most %d bytes, got %d", maxMaterialBytes, len(raw))
		return nil, false
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, true
	}
	return trimLines(raw), true
}

// each returns the PEM blocks of a field, each on its own.
func (s *signing) each(path, text string) [][]byte {
	raw, ok := s.material(path, text)
	if !ok || raw == nil {
		return nil
	}
	blocks, _ := s.blocks(path, raw)
	all := make([][]byte, len(blocks))
	for i, b := range blocks {
		all[i] = b.pem
	}
	return all
}

// made returns a signer, or reports why there is none. What the operator's
// trusted root does not bring the policy may also write out.
func (s *signing) made(made policy.Signer, err error, where string, c shared, otherwise string) []policy.Signature {
	if err == nil {
		return []policy.Signature{{Signer: made, Where: where}}
	}
	var wrong, part *dialect.SpecError
	if errors.As(err, &wrong) && wrong.Field == dialect.FieldTrustedRoot && errors.As(wrong.Err, &part) {
		err, wrong = part, part
	}
	if hint := c.hint(wrong); hint != "" && c.fields[wrong.Field] != "" {
		s.Errorf(c.fields[wrong.Field], "%w: write %s, or name a trusted root that has it with --trusted-root", err, hint)
		return nil
	}
	s.Refused(err, c.fields, otherwise)
	return nil
}

// hint returns the fields that would bring what a trusted root lacks, if that is
// what is wrong.
func (c shared) hint(wrong *dialect.SpecError) string {
	switch {
	case wrong == nil:
	case wrong.Field == dialect.FieldTrustedRoot:
		return "roots, rekor.pubkey and ctlog.pubkey"
	case wrong.Field == dialect.FieldTransparencyLog && c.LogIgnored:
		return "ctlog.tsaCertChain"
	case wrong.Field == dialect.FieldTransparencyLog:
		return "rekor.pubkey"
	case wrong.Field == dialect.FieldCTLog:
		return "ctlog.pubkey"
	}
	return ""
}
