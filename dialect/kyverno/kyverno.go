package kyverno

import (
	"regexp"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// Name is the dialect's name in [policy.Origin].
const Name = "kyverno"

// The kinds and versions that are read.
const (
	group          = "kyverno.io/"
	clusterKind    = "ClusterPolicy"
	namespacedKind = "Policy"
)

// SystemNamespace is where Kyverno is installed by default: pull secrets that
// a policy names without a namespace are there.
const SystemNamespace = "kyverno"

// Options vary the dialect. The zero Options is the strict one.
type Options struct {
	// Parser reads registries under the operator's host aliases.
	Parser imageref.Parser
	// ClusterAvailable says that the labels of namespaces can be known. Without,
	// a policy with a namespaceSelector is refused.
	ClusterAvailable bool
}

// Dialect reads policies that verify images. It is immutable and safe for
// concurrent use if its signers are.
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
		{APIVersion: group + "v1", Kind: clusterKind},
		{APIVersion: group + "v1", Kind: namespacedKind},
		{APIVersion: group + "v2beta1", Kind: clusterKind},
		{APIVersion: group + "v2beta1", Kind: namespacedKind},
	}
}

// Policies implements [dialect.Dialect]. A document holds one policy for each
// entry of each rule, and as many again for the workloads that make Pods. The
// Notes of the document are on the first.
func (d *Dialect) Policies(document dialect.Document, material dialect.Material) ([]policy.Policy, error) {
	c := compiler{Dialect: d, Report: dialect.Report{Document: document}, material: material}
	c.namespaced = document.Kind.Kind == namespacedKind
	c.Decode(&c.read)
	compiled := c.policies()
	if err := c.Errors.Err(); err != nil {
		return nil, err
	}
	if len(compiled) > 0 {
		compiled[0].Notes = c.Notes
	}
	return compiled, nil
}

// compiler compiles one document.
type compiler struct {
	*Dialect
	dialect.Report

	material   dialect.Material
	namespaced bool
	read       policyDocument

	allPatterns, allPatternBytes int // of images, so far
}

// Bounds of what a policy may hold: each policy that comes of it is looked at
// for each image that is decided.
const (
	maxRules    = 100
	maxEntries  = 100 // of a rule's verifyImages
	maxPolicies = 1000
)

// annotationOptOut on a policy accepts that a workload's author can write it so
// that the policy does not apply (TRUST R16).
const annotationOptOut = "bonafide.dev/allow-author-opt-out"

// annotationAnySubject on a policy accepts identities that mean everybody, such
// as "*" (TRUST R14).
const annotationAnySubject = "bonafide.dev/any-subject"

func (c *compiler) policies() []policy.Policy {
	c.fields()
	c.metadata()
	c.settings()
	rules := c.read.Spec.Rules
	if len(rules) == 0 {
		c.Missing("spec.rules", "expected at least one rule, got none")
	}
	if !c.AtMost("spec.rules", len(rules), maxRules) {
		return nil
	}
	generated := c.autogen()
	var compiled []policy.Policy
	names := make(map[string]string, len(rules))
	for i := range rules {
		path := dialect.At("spec.rules", i)
		c.ruleName(path+".name", rules[i].Name, names)
		compiled = append(compiled, c.rule(path, &rules[i], generated)...)
	}
	c.AtMost("spec.rules", len(compiled), maxPolicies)
	return compiled
}

// objectName is a DNS subdomain (RFC 1123) as Kubernetes asks of names; the
// length is checked apart.
var (
	objectName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
	namespaceName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	namespaceWild = regexp.MustCompile(`^[a-z0-9*?]([a-z0-9*?-]*[a-z0-9*?])?$`)
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
		c.Errorf("metadata.namespace", "expected none: a %s applies to the whole cluster", clusterKind)
	case c.namespaced && namespace == "":
		c.Missing("metadata.namespace", "expected the namespace that the policy is for, got none")
	case c.namespaced && !isNamespace(namespace):
		c.Errorf("metadata.namespace", "expected the name of a namespace, got %q", dialect.Clip(namespace))
	}
	for _, name := range []string{annotationOptOut, annotationAnySubject} {
		c.choice(`metadata.annotations["`+name+`"]`, c.read.Metadata.Annotations[name], "true", "false")
	}
}

// annotated reports whether an annotation of the policy is true.
func (c *compiler) annotated(name string) bool {
	return strings.EqualFold(c.read.Metadata.Annotations[name], "true")
}

func isNamespace(s string) bool { return len(s) <= maxLabelName && namespaceName.MatchString(s) }

func (c *compiler) ruleName(path, name string, names map[string]string) {
	switch other, twice := names[name]; {
	case name == "":
		c.Missing(path, "expected a name, got none")
	case len(name) > maxLabelName:
		c.Errorf(path, "expected at most %d characters, got %d", maxLabelName, len(name))
	case twice:
		c.Errorf(path, "expected each name once, got %q again: it is %s", dialect.Clip(name), other)
	default:
		names[name] = path
	}
}

// settings reads the fields of spec that concern every rule; the actions are
// read with the rules.
func (c *compiler) settings() {
	s := &c.read.Spec
	c.failurePolicy("spec.failurePolicy", s.FailurePolicy)
	if w := s.WebhookConfiguration; w != nil {
		c.failurePolicy("spec.webhookConfiguration.failurePolicy", w.FailurePolicy)
		if w.FailurePolicy != "" && s.FailurePolicy != "" {
			c.Errorf("spec.webhookConfiguration.failurePolicy", "expected it or spec.failurePolicy, got both")
		}
	}
	if s.Admission != nil && !*s.Admission {
		c.refuse("spec.admission", "a policy that verifies images is for admission")
	}
	if c.choice("spec.applyRules", s.ApplyRules, "All", "One") == 1 && len(s.Rules) > 1 {
		c.refuse("spec.applyRules", "One would leave out rules that come after one that applies: every rule that matches must hold")
	}
}

func (c *compiler) failurePolicy(path, word string) {
	if c.choice(path, word, "Fail", "Ignore") == 1 {
		c.Note(path, "Ignore is not followed: what could not be decided is denied")
	}
}
