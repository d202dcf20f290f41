package native_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/internal/dialecttest"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// document returns a policy of a kind whose spec has the lines of extra in
// front of a complete rest.
func document(kind, namespace, extra string) string {
	text := "apiVersion: bonafide.dev/v1alpha1\nkind: " + kind + "\nmetadata:\n  name: p\n"
	if namespace != "" {
		text += "  namespace: " + namespace + "\n"
	}
	text += "spec:\n"
	for line := range strings.Lines(extra) {
		text += "  " + line
	}
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for field, value := range map[string]string{
		"images:":  "  images: ['**']\n",
		"signers:": "  signers: [{name: a, sigstore: {key: {pem: '" + strings.ReplaceAll(publicKey, "\n", "\n\n") + "'}}}]\n",
		"require:": "  require: [{signature: {anyOf: [a]}}]\n",
	} {
		if !strings.Contains("\n"+extra, "\n"+field) {
			text += value
		}
	}
	return text
}

const cluster, tenant = "ClusterVerificationPolicy", "VerificationPolicy"

func TestR16AuthorCannotOptOutOfEnforcement(t *testing.T) {
	cases := map[string]struct {
		reason    string
		kind      string
		spec      string
		wantError []string
		wantNotes []string // weakenings
	}{
		"ObjectSelector": {
			reason: "labels are the author's", kind: cluster,
			spec:      "match: {objectSelector: {matchLabels: {a: b}}}",
			wantError: []string{"spec.match.objectSelector"},
		},
		"EmptyObjectSelector": {
			reason: "it selects all today, and invites to be filled in", kind: cluster,
			spec:      "match: {objectSelector: {}}",
			wantError: []string{"spec.match.objectSelector"},
		},
		"KindsWithoutPod": {
			reason: "a Pod can be made without a Deployment", kind: cluster,
			spec:      "match: {kinds: [Deployment]}",
			wantError: []string{"spec.match.kinds"},
		},
		"KindsWithPod": {
			reason: "every workload becomes Pods", kind: cluster,
			spec: "match: {kinds: [Deployment, Pod]}",
		},
		"Allowed": {
			reason: "the operator says so, and it shows", kind: cluster,
			spec:      "match: {objectSelector: {matchLabels: {a: b}}}\nallowAuthorOptOut: true",
			wantNotes: []string{"spec.allowAuthorOptOut"},
		},
		"Audit": {
			reason: "nothing is enforced that could be evaded", kind: cluster,
			spec:      "match: {objectSelector: {matchLabels: {a: b}}}\nmode: Audit",
			wantNotes: []string{"spec.mode"},
		},
		"Namespaced": {
			reason: "a tenant's policy only adds", kind: tenant,
			spec: "match: {objectSelector: {matchLabels: {a: b}}, kinds: [Job]}",
		},
		"NamespacedAllowed": {
			reason: "a setting without meaning is no setting", kind: tenant,
			spec: "allowAuthorOptOut: true", wantError: []string{"spec.allowAuthorOptOut"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := ""
			if tc.kind == tenant {
				namespace = "team-a"
			}
			policies, err := compile(t, "p.yaml", document(tc.kind, namespace, tc.spec), fakeSigners{}, native.Options{})
			if diff := cmp.Diff(tc.wantError, dialecttest.Paths(t, err)); diff != "" {
				t.Fatalf("%s: errors (-want +got):\n%s\n%v", tc.reason, diff, err)
			}
			if diff := cmp.Diff(tc.wantNotes, weakenings(policies)); diff != "" {
				t.Errorf("%s: weakenings (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func weakenings(policies []policy.Policy) []string {
	var found []string
	for _, p := range policies {
		for _, n := range p.Notes {
			if n.Weakening {
				found = append(found, n.Path)
			}
		}
	}
	return found
}

func TestR17NamespacedPolicyReachesNothingElse(t *testing.T) {
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: team-b}\nstringData: {cosign.pub: '" +
		strings.ReplaceAll(publicKey, "\n", "\n\n") + "'}\n"
	signer := func(key string) string { return "signers: [{name: a, sigstore: {key: {" + key + "}}}]" }
	cases := map[string]struct {
		reason string
		spec   string
		want   []string
	}{
		"File":             {"a file is the operator's", signer("file: keys/release.pub"), []string{"spec.signers[0].sigstore.key.file"}},
		"Repository":       {"it would be asked with the credentials of others", "signers: [{name: a, sigstore: {github: {repository: acme/app}, repository: ghcr.io/acme/signatures}}]", []string{"spec.signers[0].sigstore.repository"}},
		"TUF":              {"a mirror is a URL", "signers: [{name: a, sigstore: {github: {repository: acme/app}, trustedRoot: {tuf: {mirror: 'https://tuf.acme.example', root: {json: '{}'}}}}}]", []string{"spec.signers[0].sigstore.trustedRoot.tuf"}},
		"RootFile":         {"a file is the operator's", "signers: [{name: a, sigstore: {github: {repository: acme/app}, trustedRoot: {file: keys/release.pub}}}]", []string{"spec.signers[0].sigstore.trustedRoot.file"}},
		"PartFile":         {"a file is the operator's", "signers: [{name: a, sigstore: {github: {repository: acme/app}, trustedRoot: {parts: {rekor: [{file: keys/release.pub}]}}}}]", []string{"spec.signers[0].sigstore.trustedRoot.parts.rekor[0].file"}},
		"ForeignRoot":      {"it is another tenant's", "signers: [{name: a, sigstore: {github: {repository: acme/app}, trustedRoot: {secretRef: {namespace: team-b, name: keys}}}}]", []string{"spec.signers[0].sigstore.trustedRoot.secretRef.namespace"}},
		"CertificateFile":  {"a file is the operator's", "signers: [{name: a, sigstore: {certificate: {certificate: {file: keys/release.pub}}}}]", []string{"spec.signers[0].sigstore.certificate.certificate.file"}},
		"ChainFile":        {"a file is the operator's", "signers: [{name: a, sigstore: {certificate: {chain: {file: keys/release.pub}, subject: a}}}]", []string{"spec.signers[0].sigstore.certificate.chain.file"}},
		"KMS":              {"so are its credentials", signer("kms: awskms:///x"), []string{"spec.signers[0].sigstore.key.kms"}},
		"R30Plugin":        {"a plugin runs with the operator's rights", notationSpec("[x]", "plugins: [{name: a, sha256: "+strings.Repeat("a", 64)+"}]"), []string{"spec.signers[0].notation.plugins"}},
		"ForeignSecret":    {"it is another tenant's", signer("secretRef: {namespace: team-b, name: keys}"), []string{"spec.signers[0].sigstore.key.secretRef.namespace"}},
		"ForeignConfigMap": {"it is another tenant's", signer("configMapRef: {namespace: team-b, name: keys}"), []string{"spec.signers[0].sigstore.key.configMapRef.namespace"}},
		"OwnNamespace":     {"without a namespace its own is meant", signer("secretRef: {name: keys}"), []string{"spec.signers[0].sigstore.key.secretRef"}},
		"Namespaces":       {"it applies to its own", "match: {namespaces: [team-b]}", []string{"spec.match.namespaces"}},
		"AllNamespaces":    {"it applies to its own", "match: {namespaceSelector: {}}", []string{"spec.match.namespaceSelector"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, "p.yaml", document(tenant, "team-a", tc.spec)+secret, fakeSigners{}, native.Options{ClusterAvailable: true})
			if diff := cmp.Diff(tc.want, dialecttest.Paths(t, err)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v", tc.reason, diff, err)
			}
		})
	}
}

func TestR19UnknownFieldsAreErrors(t *testing.T) {
	_, err := compile(t, "p.yaml", document(cluster, "", "onUndecide: Allow\nMode: Audit\nmatch: {namespace: [a]}"), fakeSigners{}, native.Options{})
	want := []string{"spec.onUndecide", "spec.Mode", "spec.match.namespace"}
	if diff := cmp.Diff(want, dialecttest.Paths(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%v", diff, err)
	}
}

func TestR19EveryWeakeningIsNoted(t *testing.T) {
	cases := map[string]struct {
		spec string
		want []string
	}{
		"Defaults":            {"", nil},
		"StrictWords":         {"mode: Enforce\nonUndecided: Deny\npin: Digest\nallowAuthorOptOut: false\nplatform: Index", nil},
		"Warn":                {"mode: Warn", []string{"spec.mode"}},
		"Audit":               {"mode: Audit", []string{"spec.mode"}},
		"AllowIfProvenBefore": {"onUndecided: AllowIfProvenBefore", []string{"spec.onUndecided"}},
		"Allow":               {"onUndecided: Allow", []string{"spec.onUndecided"}},
		"PinNone":             {"pin: None", []string{"spec.pin"}},
		"OptOut":              {"allowAuthorOptOut: true", []string{"spec.allowAuthorOptOut"}},
		"LogIgnored": {
			"signers: [{name: a, sigstore: {key: {file: keys/release.pub}, transparencyLog: Ignored}}]",
			[]string{"spec.signers[0].sigstore.transparencyLog"},
		},
		"SigstoreWords": {
			"signers: [{name: a, sigstore: {keyless: {issuer: i, subject: s, anySubject: false, ctLog: Required}, transparencyLog: Required, timestamps: IfPresent, signedReference: Any}}]",
			nil,
		},
		"GitHub":              {"signers: [{name: a, sigstore: {github: {repository: acme/app, ref: refs/heads/main, ctLog: Required}, trustedRoot: {builtin: PublicGood}}}]", nil},
		"GitHubAnyRef":        {"signers: [{name: a, sigstore: {github: {repository: acme/app}}}]", []string{"spec.signers[0].sigstore.github"}},
		"R27GitHubCTLog":      {"signers: [{name: a, sigstore: {github: {repository: acme/app, ref: refs/heads/main, ctLog: Ignored}}}]", []string{"spec.signers[0].sigstore.github.ctLog"}},
		"R25KeylessLog":       {"signers: [{name: a, sigstore: {keyless: {issuer: i, subject: s}, transparencyLog: Ignored}}]", []string{"spec.signers[0].sigstore.transparencyLog"}},
		"R25GitHubLog":        {"signers: [{name: a, sigstore: {github: {repository: acme/app, ref: refs/heads/main}, transparencyLog: Ignored}}]", []string{"spec.signers[0].sigstore.transparencyLog"}},
		"R25CertificateLog":   {"signers: [{name: a, sigstore: {certificate: {certificate: {pem: x}}, transparencyLog: Ignored}}]", []string{"spec.signers[0].sigstore.transparencyLog"}},
		"R27CTLogIgnored":     {"signers: [{name: a, sigstore: {keyless: {issuer: i, subject: s, ctLog: Ignored}}}]", []string{"spec.signers[0].sigstore.keyless.ctLog"}},
		"R14AnySubject":       {"signers: [{name: a, sigstore: {keyless: {issuer: i, anySubject: true}}}]", []string{"spec.signers[0].sigstore.keyless.anySubject"}},
		"R14AnySubjectUnused": {"signers: [{name: a, sigstore: {keyless: {issuer: i, subject: s, anySubject: true}}}]", []string{"spec.signers[0].sigstore.keyless.anySubject"}},
		"R14AnyCertificate":   {"signers: [{name: a, sigstore: {certificate: {chain: {pem: x}, anySubject: true}}}]", []string{"spec.signers[0].sigstore.certificate.anySubject"}},
		"R31Each":             {"platform: Each", nil},
		"R31Platforms":        {"platform: Each\nplatforms: [linux/amd64]", []string{"spec.platforms"}},
		"R31Embedded":         {"platform: Each\nrequire: [{attestation: {type: spdxjson, embedded: true, signedBy: {anyOf: [a]}}}]", nil},
		"AnyIdentity":         {notationSpec("['*']", ""), []string{"spec.signers[0].notation.trustedIdentities"}},
		"Strict":              {notationSpec("[x]", "level: strict, override: {expiry: enforce}"), nil},
		"Permissive":          {notationSpec("[x]", "level: permissive"), []string{"spec.signers[0].notation.level"}},
		"ExpiryLogged":        {notationSpec("[x]", "override: {expiry: log}"), []string{"spec.signers[0].notation.override.expiry"}},
		"Plugin":              {notationSpec("[x]", "plugins: [{name: a, sha256: "+strings.Repeat("a", 64)+"}]"), nil},
		"R30Replaces": {
			notationSpec("[x]", "plugins: [{name: a, sha256: "+strings.Repeat("a", 64)+", replaces: [trustedIdentity, revocation]}]"),
			[]string{"spec.signers[0].notation.plugins[0].replaces[0]", "spec.signers[0].notation.plugins[0].replaces[1]"},
		},
		"RevocationSkips": {notationSpec("[x]", "override: {revocation: skip}"), []string{"spec.signers[0].notation.override.revocation"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policies, err := compile(t, "p.yaml", document(cluster, "", tc.spec), fakeSigners{}, native.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, weakenings(policies)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func notationSpec(identities, more string) string {
	return "signers: [{name: a, notation: {trustStores: [{type: ca, certificates: {pem: '-----BEGIN CERTIFICATE-----'}}], trustedIdentities: " +
		identities + ", " + more + "}}]"
}

func TestR25LogRequiredWithoutTrustRoot(t *testing.T) {
	text := document(cluster, "", "signers:\n- name: a\n  sigstore:\n    key: {file: keys/release.pub}\n    transparencyLog: Required")
	_, err := compile(t, "p.yaml", text, fakeSigners{noRoot: true}, native.Options{})
	var all dialect.Errors
	if !errors.As(err, &all) || len(all) != 1 {
		t.Fatalf("expected one error, got %v", err)
	}
	want := &dialect.Error{File: "p.yaml", Line: 10, Path: "spec.signers[0].sigstore.transparencyLog"}
	if got := (&dialect.Error{File: all[0].File, Line: all[0].Line, Path: all[0].Path}); *got != *want {
		t.Errorf("expected an error at %v, got %v", want, all[0])
	}
	var cause *dialect.SpecError
	if !errors.As(err, &cause) {
		t.Errorf("expected the signers' own error to be wrapped, got %v", err)
	}
}

// TestR19EveryFieldIsInTheCorpus looks for the name of each field of the language
// in the files of testdata: what none of them sets may be read as if it were absent.
func TestR19EveryFieldIsInTheCorpus(t *testing.T) {
	var corpus strings.Builder
	for _, folder := range []string{"valid", "invalid"} {
		files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			corpus.Write(text)
		}
	}
	seen := make(map[reflect.Type]bool)
	var walk func(reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || seen[of] || !strings.HasSuffix(of.PkgPath(), "/api/v1alpha1") {
			return
		}
		seen[of] = true
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !regexp.MustCompile(`\b`+name+`: `).MatchString(corpus.String()) && !strings.Contains(corpus.String(), name+":\n") {
				t.Errorf("expected %s.%s in testdata, got it in no file", of.Name(), name)
			}
			walk(of.Field(i).Type)
		}
	}
	walk(reflect.TypeOf(v1alpha1.VerificationPolicySpec{}))
	if len(seen) < 20 {
		t.Errorf("expected to walk the whole language, got %d types", len(seen))
	}
}

// TestR27KeylessWithoutTrustRoot points at the signer that has none.
func TestR27KeylessWithoutTrustRoot(t *testing.T) {
	_, err := compile(t, "p.yaml", document(cluster, "", "signers: [{name: a, sigstore: {github: {repository: acme/app}}}]"), fakeSigners{noRoot: true}, native.Options{})
	if diff := cmp.Diff([]string{"spec.signers[0].sigstore.trustedRoot"}, dialecttest.Paths(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestR31EmbeddedNeedsEachPlatform: a statement in an index is about one
// platform, and proves nothing about the index.
func TestR31EmbeddedNeedsEachPlatform(t *testing.T) {
	const requirement = "require: [{attestation: {type: spdxjson, embedded: true, signedBy: {anyOf: [a]}}}]"
	for _, spec := range []string{requirement, "platform: Index\n" + requirement} {
		_, err := compile(t, "p.yaml", document(cluster, "", spec), fakeSigners{}, native.Options{})
		if diff := cmp.Diff([]string{"spec.require[0].attestation.embedded"}, dialecttest.Paths(t, err)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

// TestR31PlatformsReachThePolicy also holds what the engine needs of a claim.
func TestR31PlatformsReachThePolicy(t *testing.T) {
	const requirement = "require: [{attestation: {type: spdxjson, embedded: true, maxAge: 1h, signedBy: {anyOf: [a]}}}]"
	policies, err := compile(t, "p.yaml", document(cluster, "", "platform: Each\nplatforms: [linux/amd64, linux/arm/v7]\n"+requirement), fakeSigners{}, native.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []evidence.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}}
	if diff := cmp.Diff(want, policies[0].Platforms); diff != "" || policies[0].Platform != policy.PlatformEach {
		t.Errorf("platform %s (-want +got):\n%s", policies[0].Platform, diff)
	}
	claim := policy.LeavesOf(policies[0].Require).Attestations[0].Claim
	stated, dated := claim.Dated(policy.NewStatement("https://spdx.dev/Document", []byte(`{"predicate": {"spdxVersion": "SPDX-2.3", "creationInfo": {"created": "2026-01-02T03:04:05Z"}}}`)))
	if !claim.Embedded || !dated || stated.Year() != 2026 {
		t.Errorf("R32: expected embedded statements to count by the time that they state, got %t, %s, %t", claim.Embedded, stated, dated)
	}
}

func TestR29LevelsThatProveNothingAreRefused(t *testing.T) {
	for _, more := range []string{"level: audit", "level: skip", "override: {authenticity: log}", "override: {integrity: log}", "verifyTimestamp: always"} {
		t.Run(more, func(t *testing.T) {
			if policies, err := compile(t, "p.yaml", document(cluster, "", notationSpec("[x]", more)), fakeSigners{}, native.Options{}); err == nil {
				t.Errorf("expected an error, got\n%s", describe(policies))
			}
		})
	}
}

func TestR48EmptyListsAreErrors(t *testing.T) {
	cases := map[string]struct {
		spec string
		want []string
	}{
		"Images":     {"images: []", []string{"spec.images"}},
		"Require":    {"require: []", []string{"spec.require", "spec.signers[0].name"}},
		"Signers":    {"signers: []", []string{"spec.signers", "spec.require[0].signature.anyOf[0]"}},
		"AnyOf":      {"require: [{signature: {anyOf: [a]}}, {signature: {anyOf: []}}]", []string{"spec.require[1].signature.anyOf"}},
		"AllOf":      {"require: [{signature: {anyOf: [a]}}, {signature: {allOf: []}}]", []string{"spec.require[1].signature.allOf"}},
		"Item":       {"require: [{signature: {anyOf: [a]}}, {}]", []string{"spec.require[1]"}},
		"Namespaces": {"match: {namespaces: []}", []string{"spec.match.namespaces"}},
		"Kinds":      {"match: {kinds: []}", []string{"spec.match.kinds"}},
		"PinKinds":   {"pinKinds: []", []string{"spec.pinKinds"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, "p.yaml", document(cluster, "", tc.spec), fakeSigners{}, native.Options{})
			got := dialecttest.Paths(t, err)
			slices.Sort(got)
			slices.Sort(tc.want)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestR1GroupsDoNotMultiplyWithoutEnd(t *testing.T) {
	var b strings.Builder
	b.WriteString("signers:\n- {name: g0, sigstore: {key: {file: keys/release.pub}}}\n- {name: g1, sigstore: {key: {file: keys/release.pub, hash: sha512}}}\n")
	name := func(i int) string { return "g" + string(rune('0'+i/10)) + string(rune('0'+i%10)) }
	last := []string{"g0", "g1"}
	for i := 2; i < 60; i++ { // each holds the two before: 2^30 leaves and more
		b.WriteString("- {name: " + name(i) + ", atLeast: {count: 1, of: [" + strings.Join(last, ", ") + "]}}\n")
		last = []string{last[1], name(i)}
	}
	b.WriteString("require: [{signature: {anyOf: [" + last[1] + "]}}]\n")
	_, err := compile(t, "p.yaml", document(cluster, "", b.String()), fakeSigners{}, native.Options{})
	if diff := cmp.Diff([]string{"spec.require"}, dialecttest.Paths(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// FuzzLoad compiles anything. Whatever compiles requires something, includes
// something and names who has to sign; nothing panics.
func FuzzLoad(f *testing.F) {
	for _, extra := range []string{"", "mode: Audit", "match: {namespaces: [a*b]}", "images: []", "require: [{signature: {allOf: [a]}}]"} {
		f.Add(document(cluster, "", extra))
		f.Add(document(tenant, "team-a", extra))
	}
	f.Add(document(cluster, "", "signers: [{name: a, atLeast: {count: 1, of: [a]}}]"))
	f.Add(document(cluster, "", "a: &a [*a]"))
	f.Add(document(cluster, "", notationSpec("['*']", "level: permissive")))
	f.Add(document(cluster, "", "require: [{attestation: {type: vuln, signedBy: {anyOf: [a]}, quantifier: Newest, maxAge: 1h, conditions: [{cel: 'predicate.a', message: m}]}}]"))
	f.Add(document(cluster, "", "require: [{artifact: {type: a/b, signedBy: {allOf: [a]}, quantifier: Every}}]"))
	for _, signer := range []string{
		"keyless: {issuer: i, subjectRegExp: 'a.*', ctLog: Ignored, extensions: {buildTrigger: push}}, timestamps: Required",
		"keyless: {issuerRegExp: i, anySubject: true}, trustedRoot: {parts: {fulcio: [{pem: x}], rekor: [{pem: y}]}}",
		"github: {repository: acme/app, workflow: acme/ci/.github/workflows/sign.yml@refs/tags/v1, ref: refs/heads/*}, trustedRoot: {builtin: PublicGood}",
		"certificate: {certificate: {pem: x}, chain: {pem: y}}, repository: ghcr.io/acme/signatures, tagPrefix: a-, annotations: {a: b}",
		"key: {kms: 'awskms:///x', hash: sha224}, trustedRoot: {tuf: {mirror: 'https://tuf.acme.example', root: {json: '{}'}}}",
	} {
		f.Add(document(cluster, "", "signers: [{name: a, sigstore: {"+signer+"}}]"))
		f.Add(document(tenant, "team-a", "signers: [{name: a, sigstore: {"+signer+"}}]"))
	}
	f.Add(document(cluster, "", "platform: Each\nplatforms: [linux/amd64]\nrequire: [{attestation: {type: spdxjson, embedded: true, signedBy: {anyOf: [a]}}}]"))
	f.Fuzz(func(t *testing.T, text string) {
		policies, err := compile(t, "p.yaml", text, fakeSigners{}, native.Options{})
		if err != nil {
			if err.Error() == "" {
				t.Error("expected an error that says something, got an empty one")
			}
			return
		}
		for _, p := range policies {
			leaves := policy.LeavesOf(p.Require)
			if p.Require == nil || len(p.Include) == 0 || len(leaves.Signatures)+len(leaves.Attestations)+len(leaves.Artifacts) == 0 {
				t.Errorf("expected a policy that requires something, got\n%s\nof\n%s", describe(policies), text)
			}
			never := policy.Evaluate(t.Context(), p.Require, policy.Input{Facts: policy.SignatureFacts(func(policy.Signature) policy.Leaf { return policy.Leaf{Outcome: policy.Denied} })})
			if never.Outcome != policy.Denied {
				t.Errorf("expected denied if nobody signed, got %s of\n%s", never.Outcome, text)
			}
		}
	})
}

// Whatever the quantifier and the signers, nothing is proven by nothing, and not
// by signatures of the image.
func TestR23ClaimsNeedStatements(t *testing.T) {
	signers := "signers: [{name: a, sigstore: {key: {file: keys/release.pub}}}, {name: b, sigstore: {key: {file: keys/release.pub, hash: sha512}}}, {name: g, atLeast: {count: 1, of: [b]}}]\n"
	signed := policy.SignatureFacts(func(policy.Signature) policy.Leaf {
		return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{{Identity: "a", Source: "s"}}}
	})
	for _, by := range []string{"anyOf: [a, b, g]", "allOf: [a, b, g]"} {
		for _, quantifier := range []string{"Any", "Every", "Newest"} {
			for _, item := range []string{"attestation: {type: vuln, ", "artifact: {type: a/b, "} {
				if quantifier == "Newest" && strings.HasPrefix(item, "artifact") {
					continue
				}
				spec := signers + "require: [{" + item + "quantifier: " + quantifier + ", signedBy: {" + by + "}}}]"
				policies, err := compile(t, "p.yaml", document(cluster, "", spec), fakeSigners{}, native.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if f := policy.Evaluate(t.Context(), policies[0].Require, policy.Input{Facts: signed}); f.Outcome != policy.Denied {
					t.Errorf("%s %s %s: want denied, got %s", item, quantifier, by, f.Outcome)
				}
			}
		}
	}
}

// What covers nothing, or counts one key twice, is never what was meant.
func TestR28OneKeyUnderTwoNamesIsRefused(t *testing.T) {
	spec := "signers:\n- {name: dev, sigstore: {key: {file: keys/release.pub}}}\n- {name: qa, sigstore: {key: {file: keys/release.pub}}}\nrequire: [{signature: {allOf: [dev, qa]}}]\n"
	_, err := compile(t, "p.yaml", document(cluster, "", spec), fakeSigners{}, native.Options{})
	if diff := cmp.Diff([]string{"spec.signers[1]"}, dialecttest.Paths(t, err)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestR19ExclusionOfEverythingIsRefused(t *testing.T) {
	for _, pattern := range []string{"**", "ghcr.io/acme/**"} {
		spec := "images: ['**', 'ghcr.io/acme/**']\nexclude: [\"" + pattern + "\"]\nsigners: [{name: dev, sigstore: {key: {file: keys/release.pub}}}]\nrequire: [{signature: {anyOf: [dev]}}]\n"
		_, err := compile(t, "p.yaml", document(cluster, "", spec), fakeSigners{}, native.Options{})
		if diff := cmp.Diff([]string{"spec.exclude[0]"}, dialecttest.Paths(t, err)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", pattern, diff)
		}
	}
}

func TestR19PinKindsWithoutPodIsNoted(t *testing.T) {
	spec := "pinKinds: [Deployment]\nsigners: [{name: dev, sigstore: {key: {file: keys/release.pub}}}]\nrequire: [{signature: {anyOf: [dev]}}]\n"
	policies, err := compile(t, "p.yaml", document(cluster, "", spec), fakeSigners{}, native.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(policies[0].Notes, func(n policy.Note) bool { return n.Weakening && n.Path == "spec.pinKinds" }) {
		t.Errorf("want a weakening at spec.pinKinds, got %+v", policies[0].Notes)
	}
}
