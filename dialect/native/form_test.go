package native_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	kjson "sigs.k8s.io/json"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/dialect/native"
)

// objectOf is a document as an API server would send it.
func objectOf(tb testing.TB, d dialect.Document) map[string]any {
	tb.Helper()
	var plain, object map[string]any
	if err := d.Decode(&plain); err != nil {
		tb.Fatal(err)
	}
	raw, err := json.Marshal(plain)
	if err != nil {
		tb.Fatal(err)
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(raw, &object); err != nil {
		tb.Fatal(err)
	}
	return object
}

// object reads one document.
func object(tb testing.TB, text string) map[string]any {
	tb.Helper()
	documents, err := dialect.Parse("", []byte(text))
	if err != nil || len(documents) != 1 {
		tb.Fatalf("want one document, got %d, %v", len(documents), err)
	}
	return objectOf(tb, documents[0])
}

// saidBy returns what errors say, wherever they were written.
func saidBy(err error) []string {
	var all []string
	for _, e := range dialect.ErrorsOf(err, "") {
		e := *e
		e.File, e.Line = "", 0
		all = append(all, e.Error())
	}
	return all
}

// ofMaterial is what the loader says of what a document names.
var ofMaterial = regexp.MustCompile(`(secretRef|configMapRef|file): expected (a file that can be read|(Secret|ConfigMap) ".*" among)`)

// TestR19FormSaysWhatTheLoaderSays over the whole corpus: no document that loads
// is refused, and one that does not is refused in the loader's words, unless it
// is what the document names that is missing.
func TestR19FormSaysWhatTheLoaderSays(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("want a corpus, got %d files, %v", len(files), err)
	}
	d := native.New(fakeSigners{}, native.Options{ClusterAvailable: true})
	var right, wrong, missing int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents, _ := dialect.Parse("", text)
		for _, document := range documents {
			if !slices.Contains(dialect.KindsOf(d), document.Kind) {
				continue
			}
			all, _ := dialect.Loader{Dialects: []dialect.Dialect{d}}.LoadEach([]dialect.Document{document})
			_, err := d.Form(objectOf(t, document))
			loader, form := saidBy(all[0].Err), saidBy(err)
			for _, s := range form {
				wrong++
				if !slices.Contains(loader, s) && !strings.HasPrefix(s, "metadata") { // which is cut down
					t.Errorf("%s: %s: Form refuses what the loader does not: %s", file, document.Name, s)
				}
			}
			for _, s := range loader {
				switch {
				case slices.Contains(form, s), strings.HasPrefix(s, "metadata."):
				case ofMaterial.MatchString(s):
					missing++
				default:
					t.Errorf("%s: %s: Form lets pass what the loader refuses: %s", file, document.Name, s)
				}
			}
			if len(form) == 0 {
				right++
			}
		}
	}
	if right < 5 || wrong < 100 || missing < 3 {
		t.Errorf("want a corpus of every sort, got %d right, %d mistakes, %d missing", right, wrong, missing)
	}
}

// TestFormLooksAtTheObjectAlone: what is beside the object is nobody's to learn,
// and does not refuse it.
func TestFormLooksAtTheObjectAlone(t *testing.T) {
	const ref = "{namespace: vault, name: keys}"
	keyless := "keyless: {issuer: 'https://i.test', subject: 's'}"
	cases := map[string]string{
		"Key":              "{key: {secretRef: " + ref + "}, transparencyLog: Ignored}",
		"KeyConfigMap":     "{key: {configMapRef: " + ref + "}, transparencyLog: Ignored}",
		"KeyFile":          "{key: {file: /etc/shadow}, transparencyLog: Ignored}",
		"NoRoot":           "{" + keyless + "}",
		"Root":             "{" + keyless + ", trustedRoot: {secretRef: " + ref + "}}",
		"Parts":            "{" + keyless + ", trustedRoot: {parts: {fulcio: [{secretRef: " + ref + "}]}}}",
		"TUF":              "{" + keyless + ", trustedRoot: {tuf: {mirror: 'https://tuf.test', root: {file: root.json}}}}",
		"Certificate":      "{certificate: {certificate: {secretRef: " + ref + "}}, transparencyLog: Ignored}",
		"CertificateChain": "{certificate: {chain: {file: chain.pem}, subject: s}, transparencyLog: Ignored}",
	}
	for name, signer := range cases {
		t.Run(name, func(t *testing.T) {
			text := document(cluster, "", "signers: [{name: a, sigstore: "+signer+"}]")
			if _, err := native.New(fakeSigners{noRoot: true}, native.Options{}).Form(object(t, text)); err != nil {
				t.Errorf("want it left to the loader, got %v", err)
			}
		})
	}
	notation := document(cluster, "", "signers: [{name: a, notation: {trustStores: [{type: ca, certificates: {secretRef: "+ref+"}}], trustedIdentities: ['x509.subject: C=US']}}]")
	if _, err := native.New(fakeSigners{}, native.Options{}).Form(object(t, notation)); err != nil {
		t.Errorf("Notation: want it left to the loader, got %v", err)
	}
}

// TestFormGoesOnBesideWhatIsMissing: a key that comes later excuses nothing else.
func TestFormGoesOnBesideWhatIsMissing(t *testing.T) {
	const later = "signers: [{name: a, sigstore: {key: {secretRef: {namespace: vault, name: keys}}, transparencyLog: Ignored}}]"
	cases := map[string]struct {
		text, want string
	}{
		"R19UnknownField":   {document(cluster, "", later+"\nimagse: [x]"), `spec.imagse: unknown field; did you mean "images"?`},
		"R19UnknownTop":     {document(cluster, "", later) + "spce: {}\n", `spce: unknown field; did you mean "spec"?`},
		"Pattern":           {document(cluster, "", later+"\nimages: ['*/app']"), "spec.images[0]: "},
		"UnusedSigner":      {document(cluster, "", "signers: [{name: a, sigstore: {key: {secretRef: {namespace: vault, name: keys}}, transparencyLog: Ignored}}, {name: b, sigstore: {key: {file: x}, transparencyLog: Ignored}}]"), "spec.signers[1].name: nothing requires"},
		"UnknownSigner":     {document(cluster, "", later+"\nrequire: [{signature: {anyOf: [a, b]}}]"), "spec.require[0].signature.anyOf[1]: expected a name of spec.signers"},
		"Condition":         {document(cluster, "", later+"\nrequire: [{attestation: {type: vuln, signedBy: {anyOf: [a]}, conditions: [{cel: 'predicate.'}]}}]"), "conditions[0].cel: "},
		"R17OtherNamespace": {document(tenant, "shop", later), "secretRef.namespace: expected \"shop\""},
		"R17File":           {document(tenant, "shop", "signers: [{name: a, sigstore: {key: {file: x}, transparencyLog: Ignored}}]"), "key.file: expected none"},
		"R16OptOut":         {document(cluster, "", later+"\nmatch: {objectSelector: {matchLabels: {a: b}}}"), "spec.match.objectSelector: "},
		"NoNamespace":       {document(cluster, "", "signers: [{name: a, sigstore: {key: {secretRef: {name: keys}}, transparencyLog: Ignored}}]"), "secretRef.namespace: expected a namespace"},
		"Kind":              {"apiVersion: bonafide.dev/v1\nkind: ClusterVerificationPolicy\nmetadata: {name: p}\nspec: {}\n", "kind: expected bonafide.dev/v1alpha1 ClusterVerificationPolicy"},
		"OtherKind":         {"apiVersion: v1\nkind: Secret\nmetadata: {name: p}\n", "kind: expected bonafide.dev/v1alpha1 ClusterVerificationPolicy"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			notes, err := native.New(fakeSigners{}, native.Options{ClusterAvailable: true}).Form(object(t, tc.text))
			said := saidBy(err)
			if len(said) != 1 || !strings.HasPrefix(said[0], tc.want) && !strings.Contains(said[0], tc.want) || notes != nil {
				t.Errorf("want one mistake, with %q, got %q and notes %v", tc.want, said, notes)
			}
		})
	}
}

// TestFormIgnoresBookkeeping: the API server's additions are not the
// author's mistakes, and an object that is none is one.
func TestFormIgnoresBookkeeping(t *testing.T) {
	whole := object(t, document(cluster, "", ""))
	metadata, _ := whole["metadata"].(map[string]any)
	for name, value := range map[string]any{
		"uid": "1", "generation": int64(3), "resourceVersion": "77", "creationTimestamp": "2026-03-01T11:00:00Z", "labels": map[string]any{"a": "b"},
		"managedFields": []any{map[string]any{"manager": "kubectl", "fieldsV1": map[string]any{"f:spec": map[string]any{}}}},
		"finalizers":    []any{"x/y"}, "ownerReferences": []any{map[string]any{"kind": "x"}}, "of the next version": true,
	} {
		metadata[name] = value
	}
	whole["status"] = map[string]any{"conditions": []any{}, "unknown": true}
	d := native.New(fakeSigners{}, native.Options{})
	if _, err := d.Form(whole); err != nil {
		t.Errorf("want it right, got %v", err)
	}
	if len(metadata) < 10 || whole["status"] == nil {
		t.Errorf("want the object as it was, got %v", whole)
	}
	for name, broken := range map[string]map[string]any{"Nil": nil, "Empty": {}, "NoMetadata": {"apiVersion": "bonafide.dev/v1alpha1", "kind": cluster}, "Strange": {"kind": []any{1}}} {
		if _, err := d.Form(broken); err == nil {
			t.Errorf("%s: want an error, got none", name)
		}
	}
}

// TestFormNotes: of a policy its weakenings, of a ruling everything.
func TestFormNotes(t *testing.T) {
	d := native.New(fakeSigners{}, native.Options{Now: fixed})
	paths := func(text string) []string {
		t.Helper()
		notes, err := d.Form(object(t, text))
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, n := range notes {
			all = append(all, n.Path)
		}
		return all
	}
	if got := paths(document(cluster, "", "mode: Audit")); !slices.Equal(got, []string{"spec.mode"}) {
		t.Errorf("want the mode alone, got %q", got)
	}
	later := "signers: [{name: a, sigstore: {key: {secretRef: {namespace: vault, name: keys}}, transparencyLog: Ignored}}]"
	if got := paths(document(cluster, "", later)); !slices.Equal(got, []string{"spec.signers[0].sigstore.transparencyLog"}) {
		t.Errorf("want the log although the key is missing, got %q", got)
	}
	if got := paths(ruling("ImageDenyList", "", `{images: ["**"], reason: r}`)); !slices.Equal(got, []string{"spec.images[0]"}) {
		t.Errorf("want to be told what ** stops, got %q", got)
	}
	ended := ruling("VerificationException", ", creationTimestamp: 2026-02-01T11:00:00Z", `{images: [a], reason: r, expires: 2026-02-02T00:00:00Z}`)
	if got := paths(ended); !slices.Equal(got, []string{"spec.expires", "spec"}) {
		t.Errorf("want to be told that it has ended, got %q", got)
	}
}

func ruling(kind, metadata, spec string) string {
	return "apiVersion: bonafide.dev/v1alpha1\nkind: " + kind + "\nmetadata: {name: it" + metadata + "}\nspec: " + spec + "\n"
}

// TestFormTakesTheAPIServersClock for the time of an exception's creation: a
// clock of ours that is wrong must not stand between a person and an emergency.
func TestFormTakesTheAPIServersClock(t *testing.T) {
	const emergency = `{images: ["**"], breakGlass: true, reason: r, expires: `
	cases := map[string]struct {
		reason, created, expires string
		right                    bool
	}{
		"InTime":     {"within a day", "2026-03-01T11:00:00Z", "2026-03-02T11:00:00Z", true},
		"WeAreSlow":  {"our clock is hours behind", "2026-03-01T20:00:00Z", "2026-03-02T20:00:00Z", true},
		"WeAreFast":  {"our clock is hours ahead", "2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z", true},
		"TooLong":    {"a day is the most", "2026-03-01T11:00:00Z", "2026-03-02T11:00:01Z", false},
		"TooLongToo": {"also if we are slow", "2026-03-01T20:00:00Z", "2026-03-02T20:00:01Z", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text := ruling("VerificationException", ", creationTimestamp: "+tc.created, emergency+tc.expires+"}")
			_, err := native.New(fakeSigners{}, native.Options{Now: fixed}).Form(object(t, text))
			if (err == nil) != tc.right {
				t.Errorf("%s: want it right %t, got %v", tc.reason, tc.right, err)
			}
		})
	}
}
