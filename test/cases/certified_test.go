package cases_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

const (
	workflow = testca.DefaultSubject
	called   = "https://github.com/acme/workflows/.github/workflows/build.yml@refs/tags/v1"
	provided = "https://slsa.dev/provenance/v0.2"
)

// logged signs with a certificate and has the operator's log testify to it.
func (w *world) logged(c testca.Certificate) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignCosign(ctx, i, c.Key, c.Cosign(fixture.CosignOptions{Annotate: w.sigstore.Annotate(testca.EntryOptions{})}))
		return err
	}
}

func (w *world) unlogged(c testca.Certificate) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignCosign(ctx, i, c.Key, c.Cosign(fixture.CosignOptions{}))
		return err
	}
}

func (w *world) loggedBundle(c testca.Certificate) mark {
	return w.bundle(c.Key, c.Bundle(fixture.BundleOptions{LogEntries: w.sigstore.LogEntries()}))
}

func (w *world) loggedProvenance(c testca.Certificate, builder string) mark {
	return func(ctx context.Context, i fixture.Image) error {
		_, err := w.SignAttestation(ctx, i, c.Key, c.Attestation(fixture.AttestationOptions{
			PredicateType: fixture.PredicateTypeSLSA02, Predicate: provenanceBy(builder), Annotate: w.sigstore.Annotate(testca.EntryOptions{}),
		}))
		return err
	}
}

// copiedKeyless takes the signatures of another image that the workflow signed.
func (w *world) copiedKeyless(c testca.Certificate) mark {
	return func(ctx context.Context, i fixture.Image) error {
		genuine, err := w.PushImage(ctx, "acme/genuine-keyless:v1", "genuine-keyless")
		if err != nil {
			return err
		}
		if err := w.logged(c)(ctx, genuine); err != nil {
			return err
		}
		return w.CopySignatures(ctx, genuine, i)
	}
}

// certified are images that were signed with certificates, by name.
func (w *world) certified(t *testing.T) map[string][]mark {
	t.Helper()
	by := func(repository, ref string) testca.CertificateOptions {
		return testca.GitHub(repository, "release.yml", ref)
	}
	issue := func(o testca.CertificateOptions) testca.Certificate { return w.sigstore.Issue(t, o) }
	ours := issue(by("acme/app", "refs/heads/main"))
	fork := issue(by("evil/app", "refs/heads/main"))
	unpromised := by("acme/app", "refs/heads/main")
	unpromised.NoSCT = true
	callee := by("acme/app", "refs/heads/main")
	callee.Subject = called
	private := testca.CertificateOptions{Subject: "release@acme.test", NoSCT: true, NotAfter: time.Now().Add(time.Hour)}
	w.certificate = w.private.Issue(t, private)
	private.Subject = "colleague@acme.test"
	w.colleague = w.private.Issue(t, private)
	return map[string][]mark{
		"keyless":               {w.logged(ours)},
		"keyless-bundle":        {w.loggedBundle(ours)},
		"keyless-unlogged":      {w.unlogged(ours)},
		"keyless-copied":        {w.copiedKeyless(ours)},
		"keyless-branch":        {w.logged(issue(by("acme/app", "refs/heads/dev")))},
		"keyless-fork":          {w.logged(fork)},
		"keyless-lookalike":     {w.logged(issue(testca.CertificateOptions{Subject: "https://evil.test/?of=" + workflow}))},
		"keyless-other-issuer":  {w.logged(issue(testca.CertificateOptions{Subject: workflow, Issuer: "https://evil.test"}))},
		"keyless-nobody":        {w.logged(issue(testca.CertificateOptions{NoSubject: true}))},
		"keyless-unpromised":    {w.logged(issue(unpromised))},
		"keyless-called":        {w.logged(issue(callee))},
		"keyless-elsewhere":     {w.logged(w.elsewhere.Issue(t, by("acme/app", "refs/heads/main")))},
		"keyless-attested":      {w.loggedProvenance(ours, builder)},
		"keyless-attested-fork": {w.loggedProvenance(fork, builder)},
		"keyless-laptop":        {w.loggedProvenance(ours, "laptop")},
		"certificate":           {w.logged(w.certificate)},
		"certificate-colleague": {w.logged(w.colleague)},
		"certificate-unlogged":  {w.unlogged(w.certificate)},
	}
}

func (w *world) certifiedRequirements() map[string]requirement {
	issuer := "issuer: " + testca.DefaultIssuer
	exactly := issuer + ", subject: " + workflow
	organization := []string{"keyless", "keyless-bundle", "keyless-branch"}
	anybody := []string{"keyless", "keyless-bundle", "keyless-branch", "keyless-fork", "keyless-lookalike"}
	parts := fmt.Sprintf("roots: %q, rekor: {pubkey: %q}, ctlog: {pubkey: %q, tsaCertChain: %q}",
		w.sigstore.FulcioChain(), w.sigstore.LogKey(), w.sigstore.CTLogKey(), w.sigstore.TimestampChain())
	chain, cert := w.private.FulcioChain(), w.certificate.PEM
	return map[string]requirement{
		"SignedByTheWorkflow": {
			allows: []string{"keyless", "keyless-bundle"},
			in: map[string]expression{
				"Native":            {text: w.nativeBy("keyless: {" + exactly + "}")},
				"NativeGitHub":      {text: w.nativeBy("github: {repository: acme/app, workflow: release.yml@refs/heads/main}")},
				"Kyverno":           {text: w.keyless(exactly)},
				"Kyverno1.6":        {text: w.kyverno("", w.image()+"          "+strings.Replace(exactly, ", ", "\n          ", 1)+"\n")},
				"KyvernoWildcard":   {text: w.keyless("issuer: 'https://token.actions.*', subject: 'https://github.com/acme/app/*/release.yml@refs/heads/mai?'")},
				"KyvernoRegExp":     {text: w.keyless(`issuerRegExp: '^https://token\.actions\.githubusercontent\.com$', subjectRegExp: '^https://github\.com/acme/app/.*@refs/heads/main$'`)},
				"KyvernoBundle":     {text: strings.Replace(w.keyless(exactly), "attestors:", "type: SigstoreBundle\n          attestors:", 1)},
				"KyvernoExtensions": {text: w.keyless(issuer + ", subject: 'https://github.com/*/app/*', additionalExtensions: {githubWorkflowRepository: acme/app, 1.3.6.1.4.1.57264.1.6: 'refs/*/main'}")},
				// What the policy writes out is trusted, whatever the operator trusts.
				"KyvernoParts":       {text: w.keyless(exactly + ", " + parts), root: w.elsewhere},
				"KyvernoPartsAndAll": {text: w.keyless(exactly + ", " + parts)},
			},
		},
		"SignedByTheOrganization": {
			allows: organization,
			in: map[string]expression{
				"Native":        {text: w.nativeBy("keyless: {" + issuer + `, subjectRegExp: 'https://github\.com/acme/.*'}`)},
				"Kyverno":       {text: w.keyless(issuer + ", subject: 'https://github.com/acme/*'")},
				"KyvernoRegExp": {text: w.keyless(issuer + `, subjectRegExp: '^https://github\.com/acme/'`)},
			},
		},
		// An expression of Kyverno's matches anywhere.
		"R14SignedByWhoeverNamesTheOrganization": {
			allows: append(organization, "keyless-lookalike"),
			in: map[string]expression{
				"Native":  {text: w.nativeBy("keyless: {" + issuer + `, subjectRegExp: '.*github\.com/acme/.*'}`)},
				"Kyverno": {text: w.keyless(issuer + `, subjectRegExp: github\.com/acme/`)},
			},
		},
		// A workflow that others may call signs for those that are named.
		"R27SignedByTheCalledWorkflow": {
			allows: []string{"keyless-called"},
			in: map[string]expression{
				"Native":  {text: w.nativeBy("keyless: {" + issuer + ", subject: " + called + ", sourceRepository: https://github.com/acme/app}")},
				"Kyverno": {text: w.keyless(issuer + ", subject: 'https://github.com/acme/workflows/*', additionalExtensions: {githubWorkflowRepository: acme/app}")},
			},
		},
		"SignedByAnybody": {
			allows: anybody,
			in: map[string]expression{
				"Native":  {text: w.nativeBy("keyless: {" + issuer + ", subjectRegExp: '.*', anySubject: true}")},
				"Kyverno": {text: strings.Replace(w.keyless(issuer+", subject: '*'"), "{name: case}", `{name: case, annotations: {bonafide.dev/any-subject: "true"}}`, 1)},
			},
		},
		"SignedWithoutPromise": {
			allows: []string{"keyless", "keyless-bundle", "keyless-unpromised"},
			in: map[string]expression{
				"Native":  {text: w.nativeBy("keyless: {" + exactly + ", ctLog: Ignored}")},
				"Kyverno": {text: w.keyless(exactly + ", ctlog: {ignoreSCT: true}")},
			},
		},
		"ProvenanceByTheWorkflow": {
			allows: []string{"keyless-attested"},
			in: map[string]expression{
				"Native": {text: w.native(`- attestation:
      type: slsaprovenance
      signedBy: {anyOf: [certified]}
      quantifier: Every
      conditions: [{cel: "predicate.builder.id == '`+builder+`'"}]`, "sigstore: {keyless: {"+exactly+"}}")},
				"Kyverno": {text: w.kyverno("", w.references()+"          attestations: [{type: "+provided+", attestors: [{entries: [{keyless: {"+exactly+"}}]}], conditions: "+conditions+"}]\n")},
				"Kyverno1.6": {text: w.kyverno("", w.image()+"          "+strings.Replace(exactly, ", ", "\n          ", 1)+
					"\n          attestations: [{predicateType: "+provided+", conditions: "+conditions+"}]\n")},
			},
		},
		"SignedWithTheCertificate": {
			allows: []string{"certificate"},
			in: map[string]expression{
				"Native":       {text: w.nativeBy(fmt.Sprintf("certificate: {certificate: {pem: %q}, chain: {pem: %q}}", cert, chain))},
				"NativeAlone":  {text: w.nativeBy(fmt.Sprintf("certificate: {certificate: {pem: %q}}", cert))},
				"Kyverno":      {text: w.kyverno("", w.present("", fmt.Sprintf("{certificates: {cert: %q, certChain: %q, ctlog: {ignoreSCT: true}}}", cert, chain)))},
				"KyvernoAlone": {text: w.kyverno("", w.present("", fmt.Sprintf("{certificates: {cert: %q, rekor: {pubkey: %q}}}", cert, w.sigstore.LogKey()))), root: w.elsewhere},
			},
		},
		"SignedWithACertificateOfTheAuthority": {
			allows: []string{"certificate", "certificate-colleague"},
			in: map[string]expression{
				"Native":  {text: w.nativeBy(fmt.Sprintf(`certificate: {chain: {pem: %q}, subjectRegExp: '[a-z]+@acme\.test'}`, chain))},
				"Kyverno": {text: w.kyverno("", w.present("", fmt.Sprintf("{certificates: {certChain: %q, ctlog: {ignoreSCT: true}}}", chain)))},
			},
		},
	}
}

// nativeBy is a native policy that asks for a signature by a Sigstore signer.
func (w *world) nativeBy(signer string) string {
	return w.native("- signature: {anyOf: [certified]}", "sigstore: {"+signer+"}")
}

// keyless is a ClusterPolicy with a keyless attestor.
func (w *world) keyless(fields string) string {
	return w.kyverno("", w.present("", "{keyless: {"+fields+"}}"))
}

// image and references begin an entry, as of old and at present.
func (w *world) image() string { return fmt.Sprintf("        - image: \"%s/acme/*\"\n", w.Host()) }

func (w *world) references() string {
	return fmt.Sprintf("        - imageReferences: [\"%s/acme/*\"]\n", w.Host())
}
