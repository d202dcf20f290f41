package kyverno

import (
	"errors"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// The types of an entry, by their place in [compiler.entryType]'s list.
const (
	cosignType = iota
	bundleType
	notaryType
)

// entry returns the policy of an entry, but for what the rule says: origin,
// matcher and mode.
func (c *compiler) entry(path string, e *entry, v variables, modes []action) policy.Policy {
	c.version(path, e)
	return policy.Policy{
		Include:     c.include(path, e),
		Exclude:     c.exclude(path, e),
		Pin:         c.pin(path, e, modes),
		PullSecrets: c.credentials(path+".imageRegistryCredentials", e.ImageRegistryCredentials, v),
		Require:     c.require(path, e, v),
	}
}

// version refuses in v2beta1 what only v1 has.
func (c *compiler) version(path string, e *entry) {
	if c.Document.APIVersion == group+"v1" {
		return
	}
	for _, f := range []dialect.Field{
		dialect.Given("image", e.Image != ""), dialect.Given("key", e.Key != ""), dialect.Given("annotations", e.Annotations != nil),
		dialect.Given("issuer", e.Issuer != ""), dialect.Given("subject", e.Subject != ""), dialect.Given("roots", e.Roots != ""),
		dialect.Given("additionalExtensions", e.AdditionalExtensions != nil),
	} {
		if f.Set {
			c.Errorf(path+"."+f.Name, "unknown field in %s: it is one of %sv1", dialect.Clip(c.Document.APIVersion), group)
		}
	}
}

// pin says whether an image is pinned. An image without a digest is never
// accepted where Kyverno would refuse it: the model has no pin that insists on
// digests without patching, so such an entry pins.
func (c *compiler) pin(path string, e *entry, modes []action) policy.Pin {
	mutates, verifies := e.MutateDigest == nil || *e.MutateDigest, e.VerifyDigest == nil || *e.VerifyDigest
	enforces := slices.ContainsFunc(modes, func(a action) bool { return a.mode == policy.Enforce })
	if e.Required != nil && !*e.Required {
		c.Note(path+".required", "false changes nothing: an image that the entry covers is verified at every door")
	}
	if e.UseCache != nil && !*e.UseCache {
		c.Note(path+".useCache", "false changes nothing: what was proven is remembered by digest and key, so that nothing stale is found")
	}
	switch {
	case mutates && e.MutateDigest != nil && !enforces:
		c.Errorf(path+".mutateDigest", "expected false where failures are audited: an image that was not proven is not pinned")
	case mutates && !verifies && enforces:
		c.Note(path+".verifyDigest", "false changes nothing beside mutateDigest: an image whose digest could not be added is refused")
	case !mutates && verifies && enforces:
		c.Note(path+".mutateDigest", "false beside verifyDigest pins all the same: a tag is replaced by the digest that was verified rather than refused")
	case !mutates && !verifies:
		c.Weaker(path+".mutateDigest", "false beside verifyDigest: false leaves tags as they are: a tag that moves after the decision is not noticed")
		return policy.PinNone
	}
	return policy.PinDigest
}

const maxPullSecrets = 100

// credentials returns the pull secrets that an entry names.
func (c *compiler) credentials(path string, r *credentials, v variables) []evidence.SecretName {
	if r == nil {
		return nil
	}
	if r.AllowInsecureRegistry {
		c.Note(path+".allowInsecureRegistry", "effective only for hosts that the operator names with --insecure-registry")
	}
	if !c.AtMost(path+".secrets", len(r.Secrets), maxPullSecrets) {
		return nil
	}
	var found []evidence.SecretName
	for i, text := range r.Secrets {
		here := dialect.At(path+".secrets", i)
		text, ok := c.text(here, text, v)
		if !ok {
			continue
		}
		namespace, name, qualified := strings.Cut(text, "/")
		if !qualified {
			namespace, name = SystemNamespace, text
		}
		if name == "" && c.Partial {
			continue
		}
		if !isNamespace(namespace) || len(name) > maxObjectName || !objectName.MatchString(name) {
			c.Errorf(here, "expected the name of a Secret, or namespace/name, got %q", dialect.Clip(text))
			continue
		}
		if c.namespaced && namespace != c.Document.Namespace {
			c.Errorf(here, "expected %q: a %s names only Secrets of its own namespace; got one of %q", c.Document.Namespace+"/"+name, namespacedKind, dialect.Clip(namespace))
			continue
		}
		if _, err := c.material.Secret(namespace, name); errors.Is(err, dialect.ErrNoMaterial) {
			c.Note(here, "Secret %q is not among the objects that are read: the registry is asked without it", namespace+"/"+name)
		}
		found = append(found, evidence.SecretName{Namespace: namespace, Name: name})
	}
	return found
}

// require returns what an entry requires: all of its attestor sets, and all of
// its attestations.
func (c *compiler) require(path string, e *entry, v variables) policy.Requirement {
	kind := max(c.choice(path+".type", e.Type, "Cosign", "SigstoreBundle", "Notary"), cosignType)
	if kind == bundleType {
		c.Note(path+".type", "both formats count, bundles and the older signatures")
	}
	if len(e.Annotations) > 0 && len(e.Attestations) > 0 {
		c.refuse(path+".annotations", "only cosign signatures of images carry annotations")
	}
	s := signing{compiler: c, variables: v, kind: kind, annotations: e.Annotations, left: maxLeaves}
	s.repository = s.place(path+".repository", e.Repository)
	// A key or an issuer beside attestations signs those and not the image: an
	// entry of Kyverno 1.5 was for the one or the other.
	all := s.sets(path+".attestors", ".attestors", e.Attestors, policyOfSignature)
	old := s.legacy(path, e)
	if len(e.Attestations) == 0 {
		all = append(all, s.numbered(dialect.At(".attestors", len(e.Attestors)), old, policyOfSignature)...)
	}
	for i := range e.Attestations {
		stated := stated{path: dialect.At(path+".attestations", i), where: dialect.At(".attestations", i), attestation: &e.Attestations[i], byEntry: e.legacy(), signers: old}
		all = append(all, s.attestation(stated))
	}
	if s.left < 0 {
		c.Errorf(path, "expected at most %d signers, got more", maxLeaves)
	}
	if len(e.Attestors) == 0 && len(e.Attestations) == 0 && !e.legacy() {
		c.Missing(path+".attestors", "expected attestors, attestations or a key, got none: the entry would require nothing")
	}
	return policy.All{Of: all}
}
