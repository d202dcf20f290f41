package native

import (
	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
)

// maxRootParts bounds each list of parts of a trusted root.
const maxRootParts = 32

// trustedRoot returns what a signer trusts, nil if it names nothing, and the path
// of the field that said so. Of one that is not looked at it returns another,
// which has authorities and logs of every kind, so that the rest of the signer is
// checked.
func (c *compiler) trustedRoot(path string, r *v1alpha1.TrustedRoot) (*dialect.TrustedRootSpec, string) {
	passed := c.passed
	spec, named := c.namedRoot(path, r)
	if c.formal && (r == nil || c.passed > passed) {
		return &dialect.TrustedRootSpec{PublicGood: true}, path
	}
	return spec, named
}

func (c *compiler) namedRoot(path string, r *v1alpha1.TrustedRoot) (*dialect.TrustedRootSpec, string) {
	if r == nil {
		return nil, path
	}
	one := c.ExactlyOne(path, append(jsonSources(r.JSONMaterial),
		dialect.Given("builtin", r.Builtin != ""), dialect.Given("parts", r.Parts != nil), dialect.Given("tuf", r.TUF != nil))...)
	spec := &dialect.TrustedRootSpec{}
	switch {
	case !one:
	case r.Builtin != "":
		path += ".builtin"
		spec.PublicGood = true
		choice(c, path, r.Builtin, v1alpha1.BuiltinPublicGood)
		c.Note(path, "PublicGood is a snapshot that Bonafide ships%s: what Sigstore has added since is missing, what it has retired since still counts", c.snapshot())
	case r.Parts != nil:
		path += ".parts"
		spec.Parts = c.rootParts(path, r.Parts)
	case r.TUF != nil:
		path += ".tuf"
		spec.TUF = c.tuf(path, r.TUF)
	default:
		m, _ := c.document(path, r.JSONMaterial, trustedRootEntry)
		spec.JSON, path = m.content, m.path
	}
	return spec, path
}

func (c *compiler) snapshot() string {
	if c.options.PublicGoodSnapshot == "" {
		return ""
	}
	return ", " + c.options.PublicGoodSnapshot
}

func (c *compiler) rootParts(path string, p *v1alpha1.TrustedRootParts) *dialect.RootParts {
	if len(p.Fulcio)+len(p.Rekor)+len(p.CTLogs)+len(p.TimestampAuthorities) == 0 {
		c.Missing(path, "expected at least one part, got none")
	}
	return &dialect.RootParts{
		Fulcio: c.parts(path+".fulcio", p.Fulcio, certificatesEntry), Rekor: c.parts(path+".rekor", p.Rekor, logKeyEntry),
		CTLogs: c.parts(path+".ctLogs", p.CTLogs, logKeyEntry), TimestampAuthorities: c.parts(path+".timestampAuthorities", p.TimestampAuthorities, certificatesEntry),
	}
}

func (c *compiler) parts(path string, list []v1alpha1.Material, entry string) [][]byte {
	if !c.AtMost(path, len(list), maxRootParts) {
		return nil
	}
	var all [][]byte
	for i := range list {
		m, _ := c.read(dialect.At(path, i), list[i], entry)
		all = append(all, m.content)
	}
	return all
}

// tuf is the operator's alone: a namespaced policy names no URL (TRUST R17).
func (c *compiler) tuf(path string, t *v1alpha1.TUFRepository) *dialect.TUFSpec {
	if c.namespaced {
		c.Errorf(path, ownMaterial)
		return nil
	}
	if t.Mirror == "" {
		c.Missing(path+".mirror", "expected the URL of a TUF repository, got none")
	}
	spec := &dialect.TUFSpec{Mirror: t.Mirror, Target: t.Target}
	if c.ExactlyOne(path+".root", jsonSources(t.Root)...) {
		m, _ := c.document(path+".root", t.Root, tufRootEntry)
		spec.Root = m.content
	}
	return spec
}
