package notation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/notaryproject/notation-core-go/signature"
	"github.com/notaryproject/notation-go/verifier/trustpolicy"
	framework "github.com/notaryproject/notation-plugin-framework-go/plugin"
	"golang.org/x/mod/semver"

	"github.com/bonafide-dev/bonafide/evidence"
)

// attributes: whoever marked an attribute critical wants it understood or the
// signature refused, and a signature that names a plugin is not verified
// without it.
func (j *judgement) attributes() error {
	j.attributeValues = make(map[string]any)
	for _, a := range j.info().SignedAttributes.ExtendedAttributes {
		name, text := a.Key.(string)
		switch {
		case text && strings.EqualFold(name, headerPlugin), text && strings.EqualFold(name, headerPluginMinVersion):
			if err := j.pluginAttribute(name, a); err != nil {
				return err
			}
		case text:
			j.attributeValues[name] = a.Value
			if a.Critical {
				j.critical = append(j.critical, name)
			}
		case a.Critical: // the protocol of plugins has no numbers
			return uncritical(fmt.Sprint(a.Key))
		}
	}
	if j.minVersion != "" && !j.named {
		return uncritical(headerPluginMinVersion)
	}
	if !j.named && len(j.critical) > 0 {
		return uncritical(j.critical[0])
	}
	return nil
}

func uncritical(name string) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "critical attributes that are understood", Got: fmt.Sprintf("%q", clip(name))}
}

// pluginAttribute reads one of the two attributes that call for a plugin
// (plugin-extensibility.md, "Signature verification").
func (j *judgement) pluginAttribute(name string, a signature.Attribute) error {
	value, text := a.Value.(string)
	switch {
	case !a.Critical || !text || name != headerPlugin && name != headerPluginMinVersion:
		return &evidence.Problem{
			Reason: evidence.UnsupportedEvidence, Expected: "a verification plugin to be named by a critical attribute that is a text",
			Got: fmt.Sprintf("%q", clip(name)),
		}
	case name == headerPluginMinVersion && !validVersion(value):
		return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: "a semantic version of the verification plugin", Got: fmt.Sprintf("%q", clip(value))}
	case name == headerPluginMinVersion:
		j.minVersion = value
		return nil
	}
	j.named = true
	if _, allowed := find(j.call.plugins, value); !allowed {
		expected := "a signature that needs no verification plugin"
		if n := len(j.call.plugins); n > 0 {
			names := make([]string, 0, n)
			for _, p := range j.call.plugins {
				names = append(names, fmt.Sprintf("%q", p.Name))
			}
			expected = "a verification plugin that the signer allows, " + few(names)
		}
		return &evidence.Problem{Reason: evidence.UnsupportedEvidence, Expected: expected, Got: fmt.Sprintf("one that names the plugin %q", clip(value))}
	}
	return nil
}

// plugin asks the plugin that the signature names, if any, after all our own
// checks have passed. A chain of strangers runs nothing, at whatever level
// (TRUST R30).
func (j *judgement) plugin(ctx context.Context) error {
	if !j.named {
		return nil
	}
	p := j.call.plugin
	if p == nil {
		return &evidence.Problem{Reason: evidence.Internal, Expected: "a plugin that was looked up", Got: "none"}
	}
	if j.call.anchor() == nil {
		return &evidence.Problem{
			Reason: evidence.CertificateUntrusted, Expected: "a certificate that descends from the trust store, before a verification plugin runs",
			Got: fmt.Sprintf("%q", subjectOf(j.chain()[0])),
		}
	}
	var asked []framework.Capability
	answer, err := j.host.verify(ctx, p, j.request(), func(m metadata) ([]framework.Capability, error) {
		var err error
		asked, err = j.capabilities(p, m)
		return asked, err
	})
	if err != nil {
		return err
	}
	return j.answered(p, asked, answer)
}

// request renders the signature as the protocol has it, without what the host
// fills in.
func (j *judgement) request() framework.VerifySignatureRequest {
	attributes := j.info().SignedAttributes
	r := framework.VerifySignatureRequest{
		Signature: framework.Signature{
			CriticalAttributes: framework.CriticalAttributes{
				ContentType: j.outcome.EnvelopeContent.Payload.ContentType, SigningScheme: string(attributes.SigningScheme),
				ExtendedAttributes: j.attributeValues,
			},
			UnprocessedAttributes: append([]string{}, j.critical...),
		},
		TrustPolicy: framework.TrustPolicy{TrustedIdentities: j.call.statement.names},
	}
	if !attributes.Expiry.IsZero() {
		r.Signature.CriticalAttributes.Expiry = &attributes.Expiry
	}
	if attributes.SigningScheme == signature.SigningSchemeX509SigningAuthority {
		r.Signature.CriticalAttributes.AuthenticSigningTime = &attributes.SigningTime
	}
	for _, c := range j.chain() {
		r.Signature.CertificateChain = append(r.Signature.CertificateChain, c.Raw)
	}
	return r
}

// capabilities picks what a plugin is asked for: all that it can verify, except
// what the trust policy skips.
func (j *judgement) capabilities(p *Plugin, m metadata) ([]framework.Capability, error) {
	if j.minVersion != "" && semver.Compare("v"+m.version, "v"+j.minVersion) < 0 {
		return nil, &evidence.Problem{
			Reason: evidence.UnsupportedEvidence, Expected: fmt.Sprintf("a signature that version %s of the verification plugin %q may verify", clip(m.version), p.Name),
			Got: "one that asks for version " + clip(j.minVersion),
		}
	}
	for _, check := range p.Replaces {
		c := framework.CapabilityTrustedIdentityVerifier
		if check == ReplacesRevocation {
			c = framework.CapabilityRevocationCheckVerifier
		}
		if !slices.Contains(m.capabilities, c) {
			return nil, p.failed("the capability "+string(c), "none, and the signer leaves the check to it", nil)
		}
	}
	asked := slices.Clone(m.capabilities)
	if j.call.statement.rules[trustpolicy.TypeRevocation] == trustpolicy.ActionSkip {
		asked = slices.DeleteFunc(asked, func(c framework.Capability) bool { return c == framework.CapabilityRevocationCheckVerifier })
	}
	return asked, nil
}

// answered reads a plugin's answer. The protocol does not tell "revoked" from
// "could not find out", so that a plugin's no to revocation is taken for the
// first (TRUST R29).
func (j *judgement) answered(p *Plugin, asked []framework.Capability, r response) error {
	for _, name := range j.critical {
		if !slices.Contains(r.processed, name) {
			return &evidence.Problem{
				Reason: evidence.UnsupportedEvidence, Expected: fmt.Sprintf("critical attributes that the verification plugin %q has processed", p.Name),
				Got: fmt.Sprintf("%q", clip(name)),
			}
		}
	}
	for _, c := range asked {
		result := r.results[c]
		if result.success {
			continue
		}
		said := errors.New(p.redact(fmt.Sprintf("%s: %s", c, result.reason)))
		problem := &evidence.Problem{
			Reason: evidence.IdentityMismatch, Expected: fmt.Sprintf("an identity that the verification plugin %q trusts", p.Name),
			Got: fmt.Sprintf("%q", subjectOf(j.chain()[0])), Err: said,
		}
		if c == framework.CapabilityRevocationCheckVerifier {
			problem.Reason, problem.Expected = evidence.CertificateRevoked, fmt.Sprintf("a chain that the verification plugin %q knows not to be revoked", p.Name)
			return problem
		}
		if err := j.failed(trustpolicy.TypeAuthenticity, problem); err != nil {
			return err
		}
	}
	return nil
}
