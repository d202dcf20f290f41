package policyset_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	prototrust "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// inline is a policy with one Sigstore signer that has an inline trusted root.
func inline(name, signer string, root []byte) string {
	text, err := json.Marshal(string(root))
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: %s}
spec:
  images: ['**']
  signers:
  - name: a
    sigstore:
      %s
      trustedRoot: {json: %s}
  require: [{signature: {anyOf: [a]}}]
`, name, signer, text)
}

func compileOne(t *testing.T, signers policyset.Signers, text string) (*sigstore.Signer, error) {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, map[string]string{"policy.yaml": text})
	set, err := policyset.Load([]string{folder}, policyset.Options{Dialects: []dialect.Dialect{native.New(signers, native.Options{})}})
	if err != nil {
		return nil, err
	}
	return policy.Signatures(set.Policies[0].Require)[0].Signer.(*sigstore.Signer), nil
}

// image is an image of which only the manifest matters.
func image(t *testing.T) fixture.Image {
	t.Helper()
	ref, err := imageref.Parse("registry.test/acme/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	raw := []byte(`{"schemaVersion":2,"mediaType":"` + evidence.MediaTypeImage + `","config":{"mediaType":"a/b","digest":"` +
		imageref.DigestOf(nil).String() + `","size":0},"layers":[]}`)
	return fixture.Image{Reference: ref, Digest: imageref.DigestOf(raw), MediaType: evidence.MediaTypeImage, Size: int64(len(raw)), Raw: raw}
}

// verify signs an image with a certificate and asks whether that counts.
func verify(t *testing.T, by *testca.Sigstore, signer *sigstore.Signer, o testca.CertificateOptions) error {
	t.Helper()
	return verifyBundle(t, by, signer, o, fixture.BundleOptions{LogEntries: by.LogEntries(testca.EntryOptions{})})
}

func verifyBundle(t *testing.T, by *testca.Sigstore, signer *sigstore.Signer, o testca.CertificateOptions, with fixture.BundleOptions) error {
	t.Helper()
	c, i := by.Issue(t, o), image(t)
	bundle, err := fixture.NewBundle(i, c.Key, c.Bundle(with))
	if err != nil {
		t.Fatal(err)
	}
	m, err := evidence.ParseManifest(i.Raw, i.MediaType)
	if err != nil {
		t.Fatal(err)
	}
	_, err = signer.Verify(t.Context(), evidence.Image{Reference: i.Reference, Repository: i.Reference.Repository(), Manifest: m},
		evidence.Item{Format: evidence.Bundle, Payload: bundle})
	return err
}

// reusable is what Fulcio issues for a job whose workflow is another
// repository's: the caller is what was built.
func reusable(caller, ref, workflow string) testca.CertificateOptions {
	o := testca.GitHub(caller, "release.yml", ref)
	o.Subject = "https://github.com/" + workflow
	return o
}

// TestR27GitHubShortForm decides by real certificates what the short form means.
func TestR27GitHubShortForm(t *testing.T) {
	const main, tag = "refs/heads/main", "refs/tags/v1.2"
	own := func(repository, workflow, ref string) testca.CertificateOptions {
		return testca.GitHub(repository, workflow, ref)
	}
	const shared = "acme/ci/.github/workflows/sign.yml"
	otherIssuer := own("acme/app", "release.yml", main)
	otherIssuer.Issuer, otherIssuer.OldIssuer = "https://ghe.acme.test/_services/token", ""
	noRef := own("acme/app", "release.yml", main)
	delete(noRef.Extensions, testca.SourceRepositoryRef)
	cases := map[string]struct {
		github string
		by     testca.CertificateOptions
		want   evidence.Reason
	}{
		"File":             {"{repository: acme/app, workflow: release.yml}", own("acme/app", "release.yml", main), ""},
		"Path":             {"{repository: acme/app, workflow: .github/workflows/release.yml}", own("acme/app", "release.yml", main), ""},
		"OtherFile":        {"{repository: acme/app, workflow: release.yml}", own("acme/app", "test.yml", main), evidence.IdentityMismatch},
		"R14FileIsNoRE2":   {"{repository: acme/app, workflow: release.yml}", own("acme/app", "releaseXyml", main), evidence.IdentityMismatch},
		"R14FileIsWhole":   {"{repository: acme/app, workflow: release.yml}", own("acme/app", "prerelease.yml", main), evidence.IdentityMismatch},
		"OtherRepository":  {"{repository: acme/app, workflow: release.yml}", own("evil/app", "release.yml", main), evidence.IdentityMismatch},
		"LongerRepository": {"{repository: acme/app, workflow: release.yml}", own("acme/app2", "release.yml", main), evidence.IdentityMismatch},
		"OtherIssuer":      {"{repository: acme/app, workflow: release.yml}", otherIssuer, evidence.IdentityMismatch},
		"Ref":              {"{repository: acme/app, workflow: release.yml, ref: refs/heads/main}", own("acme/app", "release.yml", main), ""},
		"OtherRef":         {"{repository: acme/app, workflow: release.yml, ref: refs/heads/main}", own("acme/app", "release.yml", "refs/heads/dev"), evidence.IdentityMismatch},
		"LongerRef":        {"{repository: acme/app, workflow: release.yml, ref: refs/heads/main}", own("acme/app", "release.yml", main+"2"), evidence.IdentityMismatch},
		"NoRef":            {"{repository: acme/app, workflow: release.yml, ref: refs/heads/main}", noRef, evidence.IdentityMismatch},
		"Tags":             {"{repository: acme/app, workflow: release.yml, ref: refs/tags/v*}", own("acme/app", "release.yml", tag), ""},
		"NoTag":            {"{repository: acme/app, workflow: release.yml, ref: refs/tags/v*}", own("acme/app", "release.yml", main), evidence.IdentityMismatch},
		"TagInFolder":      {"{repository: acme/app, workflow: release.yml, ref: refs/tags/v*}", own("acme/app", "release.yml", "refs/tags/v1/x"), evidence.IdentityMismatch},
		"AnyWorkflow":      {"{repository: acme/app}", own("acme/app", "test.yml", main), ""},
		"AnyNotElsewhere":  {"{repository: acme/app}", own("acme/other", "test.yml", main), evidence.IdentityMismatch},
		"AnyNotReusable":   {"{repository: acme/app}", reusable("acme/app", main, shared+"@"+tag), evidence.IdentityMismatch},
		"AnyButRef":        {"{repository: acme/app, ref: refs/heads/main}", own("acme/app", "test.yml", tag), evidence.IdentityMismatch},
		"Reusable":         {"{repository: acme/app, workflow: " + shared + "}", reusable("acme/app", main, shared+"@"+tag), ""},
		"ReusableByCommit": {"{repository: acme/app, workflow: " + shared + "}", reusable("acme/app", main, shared+"@0123456789abcdef0123456789abcdef01234567"), ""},
		"ReusableByOthers": {"{repository: acme/app, workflow: " + shared + "}", reusable("evil/app", main, shared+"@"+tag), evidence.IdentityMismatch},
		"ReusableOfOthers": {"{repository: acme/app, workflow: " + shared + "}", reusable("acme/app", main, "evil/ci/.github/workflows/sign.yml@"+tag), evidence.IdentityMismatch},
		"CallersRef":       {"{repository: acme/app, workflow: " + shared + ", ref: refs/heads/main}", reusable("acme/app", main, shared+"@"+tag), ""},
		"NotWorkflowsRef":  {"{repository: acme/app, workflow: " + shared + ", ref: refs/tags/v1.2}", reusable("acme/app", main, shared+"@"+tag), evidence.IdentityMismatch},
		"Pinned":           {"{repository: acme/app, workflow: " + shared + "@refs/tags/v1.2}", reusable("acme/app", main, shared+"@"+tag), ""},
		"PinnedOther":      {"{repository: acme/app, workflow: " + shared + "@refs/tags/v1.2}", reusable("acme/app", main, shared+"@refs/tags/v1x2"), evidence.IdentityMismatch},
		"PinnedPattern":    {"{repository: acme/app, workflow: '" + shared + "@refs/tags/v1.*'}", reusable("acme/app", main, shared+"@"+tag), ""},
		"PinnedElsewhere":  {"{repository: acme/app, workflow: '" + shared + "@refs/tags/v1.*'}", reusable("acme/app", main, shared+"@refs/pull/1/merge"), evidence.IdentityMismatch},
	}
	s := whole(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			signer, err := compileOne(t, policyset.NewSigners(nil), inline("github", "github: "+tc.github, s.TrustedRoot()))
			if err != nil {
				t.Fatal(err)
			}
			err = verify(t, s, signer, tc.by)
			if problem := evidence.ProblemOf(err); (err != nil || tc.want != "") && (problem == nil || problem.Reason != tc.want) {
				t.Errorf("expected %q, got %v", tc.want, err)
			}
		})
	}
}

// TestSignersOfPoliciesVerify compiles each kind of keyless and certificate
// signer with an inline trusted root, and lets it judge.
func TestSignersOfPoliciesVerify(t *testing.T) {
	s := whole(t)
	mine := testca.CertificateOptions{Subject: "release@acme.test", Issuer: "https://accounts.acme.test"}
	theirs := testca.CertificateOptions{Subject: "release@acme.test.evil.test", Issuer: "https://accounts.acme.test"}
	chain, err := json.Marshal(string(s.FulcioChain()))
	if err != nil {
		t.Fatal(err)
	}
	for name, signer := range map[string]string{
		"Exact":         "keyless: {issuer: 'https://accounts.acme.test', subject: release@acme.test}",
		"R14Whole":      `keyless: {issuerRegExp: 'https://accounts\.acme\.test', subjectRegExp: 'release@acme\.test'}`,
		"Chain":         "certificate: {subject: release@acme.test, chain: {pem: " + string(chain) + "}}",
		"R14ChainWhole": "certificate: {subjectRegExp: 'release@acme.test', chain: {pem: " + string(chain) + "}}",
	} {
		t.Run(name, func(t *testing.T) {
			made, err := compileOne(t, policyset.NewSigners(nil), inline("p", signer, s.TrustedRoot()))
			if err != nil {
				t.Fatal(err)
			}
			if err := verify(t, s, made, mine); err != nil {
				t.Errorf("expected a proof, got %v", err)
			}
			if p := evidence.ProblemOf(verify(t, s, made, theirs)); p == nil || p.Reason != evidence.IdentityMismatch {
				t.Errorf("expected another identity to be refused, got %v", p)
			}
		})
	}
}

// withoutLogs is a trusted root as that of GitHub's instance for private
// repositories: with timestamps in the place of logs.
func withoutLogs(t *testing.T, s *testca.Sigstore) []byte {
	t.Helper()
	return s.EditedRoot(t, func(r *prototrust.TrustedRoot) { r.Tlogs, r.Ctlogs = nil, nil })
}

// TestR25GitHubWithoutLogs decides as the short form does for an instance that
// has timestamps and no log.
func TestR25GitHubWithoutLogs(t *testing.T) {
	s := whole(t)
	const who = "github: {repository: acme/app, workflow: release.yml, ref: refs/heads/main"
	const logless = "\n      transparencyLog: Ignored\n      timestamps: Required"
	for field, text := range map[string]string{"ctLog": who + "}" + logless, "transparencyLog": who + ", ctLog: Ignored}"} {
		if _, err := compileOne(t, policyset.NewSigners(nil), inline("p", text, withoutLogs(t, s))); err == nil || !strings.Contains(err.Error(), "."+field+": ") {
			t.Errorf("expected an error at %s, which nobody waived, got %v", field, err)
		}
	}
	signer, err := compileOne(t, policyset.NewSigners(nil), inline("p", who+", ctLog: Ignored}"+logless, withoutLogs(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	by := testca.GitHub("acme/app", "release.yml", "refs/heads/main")
	by.NoSCT = true
	if err := verifyBundle(t, s, signer, by, fixture.BundleOptions{Timestamps: s.Timestamps(testca.TimestampOptions{})}); err != nil {
		t.Errorf("expected a proof, got %v", err)
	}
	err = verifyBundle(t, s, signer, by, fixture.BundleOptions{})
	if problem := evidence.ProblemOf(err); problem == nil || problem.Reason != evidence.TimestampMissing {
		t.Errorf("expected %s of a signature without any time, got %v", evidence.TimestampMissing, err)
	}
}

// TestManyPoliciesShareATrustedRoot loads as many as one load may have, nearly.
func TestManyPoliciesShareATrustedRoot(t *testing.T) {
	const policies = 990
	root, err := json.Marshal(string(whole(t).TrustedRoot()))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	fmt.Fprintf(&all, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: root, namespace: sigstore}\ndata: {trusted_root.json: %s}\n", root)
	for i := range policies {
		signer := fmt.Sprintf("github: {repository: acme/app%d}", i)
		text := inline(fmt.Sprintf("p%d", i), signer, nil)
		all.WriteString("---\n" + strings.Replace(text, `json: ""`, "configMapRef: {namespace: sigstore, name: root}", 1))
	}
	folder := t.TempDir()
	write(t, folder, map[string]string{"policies.yaml": all.String()})
	o := policyset.Options{Dialects: []dialect.Dialect{native.New(policyset.NewSigners(nil), native.Options{})}}
	set, err := policyset.Load([]string{filepath.Join(folder, "policies.yaml")}, o)
	if err != nil || len(set.Policies) != policies {
		t.Fatalf("expected %d policies, got %d, %v", policies, len(set.Policies), err)
	}
}

// TestNativeExamplesCompile reads each example by itself, as its reader will.
func TestNativeExamplesCompile(t *testing.T) {
	files, err := fs.ReadDir(examples.Files, examples.NativeSigstore+"/policy")
	if err != nil || len(files) < 6 {
		t.Fatalf("expected the examples, got %d, %v", len(files), err)
	}
	signers := policyset.NewSigners(nil)
	signers.Material = material{keyErr: notYet(evidence.KeyUnavailable)}
	private := string(withoutLogs(t, whole(t)))
	for _, f := range files {
		t.Run(f.Name(), func(t *testing.T) {
			content, err := fs.ReadFile(examples.Files, examples.NativeSigstore+"/policy/"+f.Name())
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			write(t, folder, map[string]string{"policy.yaml": string(content), "github-trusted-root.json": private})
			set, err := policyset.Load([]string{filepath.Join(folder, "policy.yaml")}, policyset.Options{Dialects: []dialect.Dialect{native.New(signers, native.Options{})}})
			if err != nil || len(set.Policies) != 1 {
				t.Fatalf("expected one policy, got %d, %v", len(set.Policies), err)
			}
			for _, note := range set.Policies[0].Notes {
				noLogs := f.Name() == "github-private.yaml" && strings.HasSuffix(note.Path, ".ctLog")
				if note.Weakening && !noLogs && !strings.HasSuffix(note.Path, ".transparencyLog") {
					t.Errorf("expected an example to copy without weakenings, got %s: %s", note.Path, note.Text)
				}
			}
		})
	}
}
