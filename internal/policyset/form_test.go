package policyset_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kjson "sigs.k8s.io/json"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/testca"
)

// formOf looks at one document as the policies' door does.
func formOf(t *testing.T, d dialect.Document) error {
	t.Helper()
	signers, err := policyset.FormSigners(time.Now)
	if err != nil {
		t.Fatal(err)
	}
	var plain, object map[string]any
	if err := d.Decode(&plain); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(plain)
	if err == nil {
		err = kjson.UnmarshalCaseSensitivePreserveInts(raw, &object)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = native.New(signers, native.Options{ClusterAvailable: true, Now: time.Now}).Form(object)
	return err
}

func formOfText(t *testing.T, text string) error {
	t.Helper()
	documents, err := dialect.Parse("", []byte(text))
	if err != nil || len(documents) != 1 {
		t.Fatalf("want one document, got %d, %v in %s", len(documents), err, text)
	}
	return formOf(t, documents[0])
}

// TestFormOfExamples takes every example of a right object, and refuses every
// example of a wrong one, which the API server would refuse too.
func TestFormOfExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/*/*/*.yaml")
	wrong, other := filepath.Glob("../../examples/invalid/*.yaml")
	if err != nil || other != nil || len(files) == 0 || len(wrong) == 0 {
		t.Fatalf("want examples, got %d and %d: %v, %v", len(files), len(wrong), err, other)
	}
	kinds := dialect.KindsOf(native.New(policyset.Signers{}, native.Options{}))
	looked := 0
	for _, file := range slices.Concat(files, wrong) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents, _ := dialect.Parse(file, text)
		for _, d := range documents {
			if !slices.Contains(kinds, d.Kind) {
				continue
			}
			looked++
			err := formOf(t, d)
			if isWrong := slices.Contains(wrong, file); isWrong != (err != nil) {
				t.Errorf("%s: %s: want it refused %t, got %v", file, d.Name, isWrong, err)
			}
		}
	}
	if looked < 40 {
		t.Errorf("want more examples, got %d", looked)
	}
}

func signedBy(sigstore string) string {
	return "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: p}\nspec:\n" +
		"  images: ['**']\n  signers: [{name: a, sigstore: " + sigstore + "}]\n  require: [{signature: {anyOf: [a]}}]\n"
}

// TestFormOfSigners holds what is the document's own with the real verifiers, and
// what is the operator's or of another place.
func TestFormOfSigners(t *testing.T) {
	const who, keys = "issuer: 'https://i.test', subject: s", "secretRef: {namespace: vault, name: keys}"
	inline, err := json.Marshal(publicKey)
	if err != nil {
		t.Fatal(err)
	}
	ed25519, err := json.Marshal(otherKey)
	if err != nil {
		t.Fatal(err)
	}
	tuf := func(mirror string) string {
		root, err := json.Marshal(string(testca.NewTUF(t, testca.TUFOptions{}).Root()))
		if err != nil {
			t.Fatal(err)
		}
		return "{keyless: {" + who + "}, trustedRoot: {tuf: {mirror: '" + mirror + "', root: {json: " + string(root) + "}}}}"
	}
	cases := map[string]struct {
		reason, signer string
		wrong          string // the path, or "" if it is right
	}{
		"NoRootOfTheOperators": {"--trusted-root may come later", "{keyless: {" + who + "}}", ""},
		"NoRootForTheLog":      {"likewise", "{key: {pem: " + string(inline) + "}}", ""},
		"NoRootForTimestamps":  {"likewise", "{keyless: {" + who + "}, timestamps: Required}", ""},
		"RootLater":            {"its Secret may come later", "{keyless: {" + who + "}, trustedRoot: {" + keys + "}}", ""},
		"KMS":                  {"nobody is asked", "{key: {kms: 'awskms:///alias/release'}, transparencyLog: Ignored}", ""},
		"KMSOfAnotherHost":     {"whom one may ask is the operator's to say", "{key: {kms: 'awskms://kms.corp.test/alias/release'}, transparencyLog: Ignored}", ""},
		"TUF":                  {"nobody is asked", tuf("https://127.0.0.1:1"), ""},
		"TUFPlain":             {"as with KMS", tuf("http://tuf.test"), ""},

		"CertificateLater": {"as with the key", "{certificate: {certificate: {" + keys + "}}, transparencyLog: Ignored}", ""},
		"ChainLater":       {"as with the key", "{certificate: {chain: {" + keys + "}, subject: s}, transparencyLog: Ignored}", ""},

		"Key":              {"the key is in the document", "{key: {pem: none}, transparencyLog: Ignored}", "key.pem"},
		"Hash":             {"so is what it does not fit", "{key: {pem: " + string(ed25519) + ", hash: sha224}, transparencyLog: Ignored}", "key.hash"},
		"InvalidRegexp":    {"a regular expression", "{keyless: {issuerRegExp: '(', subject: s}}", "keyless.issuerRegExp"},
		"R14AnySubject":    {"that admits everybody", "{keyless: {issuer: 'https://i.test', subjectRegExp: '.*'}}", "keyless.subjectRegExp"},
		"RegexpBesideRoot": {"the Secret excuses nothing", "{keyless: {issuerRegExp: '(', subject: s}, trustedRoot: {" + keys + "}}", "keyless.issuerRegExp"},
		"Root":             {"the root is in the document", "{keyless: {" + who + "}, trustedRoot: {json: '{}'}}", "trustedRoot.json"},
		"KMSOfNoKind":      {"a scheme that nobody knows", "{key: {kms: 'corpkms://release'}, transparencyLog: Ignored}", "key.kms"},
		"TUFOfNoKind":      {"no mirror", tuf("ftp://tuf.test"), "trustedRoot.tuf"},
		"TUFRoot":          {"the pinned root is in the document", "{keyless: {" + who + "}, trustedRoot: {tuf: {mirror: 'https://tuf.test', root: {json: '{}'}}}}", "trustedRoot.tuf"},
		"Extension":        {"no such fact", "{keyless: {" + who + ", extensions: {nosuch: x}}}", "keyless.extensions"},
		"Certificate":      {"no PEM", "{certificate: {certificate: {pem: none}}, transparencyLog: Ignored}", "certificate.certificate.pem"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := formOfText(t, signedBy(tc.signer))
			if tc.wrong == "" {
				if err != nil {
					t.Errorf("%s: want it right, got %v", tc.reason, err)
				}
				return
			}
			failed := dialect.ErrorsOf(err, "")
			if len(failed) != 1 || !strings.HasPrefix(failed[0].Path, "spec.signers[0].sigstore."+tc.wrong) {
				t.Errorf("%s: want one mistake at %s, got %v", tc.reason, tc.wrong, err)
			}
		})
	}
}

// TestFormOfNotation: plugins and revocation are the operator's.
func TestFormOfNotation(t *testing.T) {
	policy := func(more string) string {
		pem, err := json.Marshal(string(certificatePEM(t)))
		if err != nil {
			t.Fatal(err)
		}
		return "apiVersion: bonafide.dev/v1alpha1\nkind: ClusterVerificationPolicy\nmetadata: {name: p}\nspec:\n" +
			"  images: ['**']\n  signers: [{name: a, notation: {trustStores: [{type: ca, certificates: {pem: " + string(pem) + "}}], " + more + "}}]\n  require: [{signature: {anyOf: [a]}}]\n"
	}
	if err := formOfText(t, policy("trustedIdentities: ['*'], plugins: [{name: kms, sha256: '"+strings.Repeat("ab", 32)+"'}]")); err != nil {
		t.Errorf("want a plugin that may be installed later, got %v", err)
	}
	if err := formOfText(t, policy("trustedIdentities: ['x509.subject: C=US']")); err == nil || !strings.Contains(err.Error(), "trustedIdentities") {
		t.Errorf("want an identity that is none refused, got %v", err)
	}
}
