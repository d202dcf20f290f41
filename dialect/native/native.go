package native

import (
	"regexp"

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
	c := compiler{Dialect: d, document: document, material: material}
	c.namespaced = document.Kind.Kind == v1alpha1.VerificationPolicyKind
	decoded := c.decode()
	// A field that could not be read is reported once, not again as missing.
	c.partial = decoded != nil
	c.failed = append(c.failed, dialect.ErrorsOf(decoded, document.File)...)
	compiled := c.policy()
	if err := c.failed.Err(); err != nil {
		return nil, err
	}
	return []policy.Policy{compiled}, nil
}

// compiler compiles one document. Its methods collect errors rather than stop
// at the first; what they return counts only if there are none.
type compiler struct {
	*Dialect
	document   dialect.Document
	material   dialect.Material
	namespaced bool
	spec       v1alpha1.VerificationPolicySpec
	partial    bool // the document did not decode entirely

	failed dialect.Errors
	notes  []policy.Note
}

func (c *compiler) decode() error {
	if c.namespaced {
		var p v1alpha1.VerificationPolicy
		err := c.document.Decode(&p)
		c.spec = p.Spec
		return err
	}
	var p v1alpha1.ClusterVerificationPolicy
	err := c.document.Decode(&p)
	c.spec = p.Spec
	return err
}

func (c *compiler) policy() policy.Policy {
	c.metadata()
	p := policy.Policy{
		Origin: policy.Origin{
			Dialect: Name, Kind: c.document.Kind.Kind, Namespace: c.document.Namespace, Name: c.document.Name, File: c.document.Place(),
		},
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
	c.platform()
	p.Require = c.require(c.signed())
	p.Notes = c.notes
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
	if len(c.document.Name) > maxObjectName || !objectName.MatchString(c.document.Name) {
		c.errorf("metadata.name", "expected at most %d lower-case letters, digits, '-' and '.', got %q", maxObjectName, clip(c.document.Name))
	}
	switch namespace := c.document.Namespace; {
	case !c.namespaced && namespace != "":
		c.errorf("metadata.namespace", "expected none: a %s applies to the whole cluster", c.document.Kind.Kind)
	case c.namespaced && namespace == "":
		c.missing("metadata.namespace", "expected the namespace that the policy is for, got none")
	case c.namespaced && !isNamespace(namespace):
		c.errorf("metadata.namespace", "expected the name of a namespace, got %q", clip(namespace))
	}
}

func isNamespace(s string) bool { return len(s) <= maxLabelName && namespaceName.MatchString(s) }
