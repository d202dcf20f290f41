package native

import (
	"regexp"
	"time"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Name is the dialect's name in [policy.Origin].
const Name = "native"

// Options vary the dialect. The zero Options is the strict one.
type Options struct {
	// Parser reads image patterns under the operator's host aliases.
	Parser imageref.Parser
	// ClusterAvailable says that the labels of namespaces can be known. Without,
	// a policy with a namespaceSelector is refused.
	ClusterAvailable bool
	// PublicGoodSnapshot says of what time the snapshot of Sigstore's public
	// instance is, for people, such as "as of 2025-08-19". It may be empty.
	PublicGoodSnapshot string
	// Now is the clock by which it is judged how far ahead an exception may end.
	// Nil judges by what documents say of their own creation; an exception that
	// says nothing is then judged by those alone who decide by it.
	Now func() time.Time
}

// Dialect reads the native kinds. It is immutable and safe for concurrent use
// if its signers are.
type Dialect struct {
	signers dialect.Signers
	options Options
}

var _ dialect.Dialect = (*Dialect)(nil)

// New returns the dialect, which makes its signers through signers.
func New(signers dialect.Signers, o Options) *Dialect {
	return &Dialect{signers: signers, options: o}
}

// Kinds implements [dialect.Dialect].
func (*Dialect) Kinds() []dialect.Kind {
	return []dialect.Kind{
		{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.ClusterVerificationPolicyKind},
		{APIVersion: v1alpha1.GroupVersion, Kind: v1alpha1.VerificationPolicyKind},
	}
}

// Policies implements [dialect.Dialect]: a document holds one policy.
func (d *Dialect) Policies(document dialect.Document, material dialect.Material) ([]policy.Policy, error) {
	c := compiler{Dialect: d, Report: dialect.Report{Document: document}, material: material}
	compiled := c.compile()
	if err := c.Errors.Err(); err != nil {
		return nil, err
	}
	return []policy.Policy{compiled}, nil
}

// compiler compiles one document.
type compiler struct {
	*Dialect
	dialect.Report

	material   dialect.Material
	namespaced bool
	spec       v1alpha1.VerificationPolicySpec
	// formal says that the document alone is judged, see [Dialect.Form]: there is
	// no material, and passed counts what was named and not looked at.
	formal bool
	passed int
}

func (c *compiler) compile() policy.Policy {
	c.namespaced = c.Document.Kind.Kind == v1alpha1.VerificationPolicyKind
	c.decode()
	return c.policy()
}

// pass leaves out what is outside of the document.
func (c *compiler) pass() (material, bool) {
	c.passed++
	return material{}, false
}

func (c *compiler) decode() {
	if c.namespaced {
		var p v1alpha1.VerificationPolicy
		c.Decode(&p)
		c.spec = p.Spec
		return
	}
	var p v1alpha1.ClusterVerificationPolicy
	c.Decode(&p)
	c.spec = p.Spec
}

func (c *compiler) policy() policy.Policy {
	c.metadata()
	p := policy.Policy{
		Origin:      c.origin(),
		Include:     c.include(),
		Exclude:     c.patterns("spec.exclude", c.spec.Exclude),
		Match:       c.match(),
		Mode:        c.mode(),
		OnUndecided: c.onUndecided(),
		Pin:         c.pin(),
		PinKinds:    c.kinds("spec.pinKinds", c.spec.PinKinds),
	}
	c.optOut(p.Mode)
	c.covers()
	p.Platform, p.Platforms = c.platform()
	p.Require = c.require(c.signed())
	p.Notes = c.Notes
	return p
}

// objectName is a DNS subdomain (RFC 1123) as Kubernetes asks of names; the
// length is checked apart.
var (
	objectName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

const (
	maxObjectName = 253
	maxLabelName  = 63
)

func (c *compiler) metadata() {
	if len(c.Document.Name) > maxObjectName || !objectName.MatchString(c.Document.Name) {
		c.Errorf("metadata.name", "expected at most %d lower-case letters, digits, '-' and '.', got %q", maxObjectName, dialect.Clip(c.Document.Name))
	}
	switch namespace := c.Document.Namespace; {
	case !c.namespaced && namespace != "":
		c.Errorf("metadata.namespace", "expected none: a %s applies to the whole cluster", c.Document.Kind.Kind)
	case c.namespaced && namespace == "":
		c.Missing("metadata.namespace", "expected the namespace that the policy is for, got none")
	case c.namespaced && !isNamespace(namespace):
		c.Errorf("metadata.namespace", "expected the name of a namespace, got %q", dialect.Clip(namespace))
	}
}

func isNamespace(s string) bool { return len(s) <= maxLabelName && namespaceName.MatchString(s) }
