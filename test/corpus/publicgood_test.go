package corpus_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// moduleFolder is where the Go command keeps the module whose test data has
// bundles that the public instance of Sigstore made.
var moduleFolder = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/sigstore-go").Output()
	return strings.TrimSpace(string(out)), err
})

// foreign reads a file of that module.
func foreign(t *testing.T, name string) []byte {
	t.Helper()
	dir, err := moduleFolder()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The files, and what they are about.
const (
	provenance1 = "examples/bundle-provenance.json"
	publish1    = "examples/bundle-publish.json"
	publishKey  = "examples/publish_key.pub"
	provenance2 = "pkg/testing/data/bundles/sigstore.js@2.0.0-provenance.sigstore.json"
	emailed     = "pkg/testing/data/bundles/dsse.sigstore.json"
	twice       = "pkg/testing/data/bundles/dsse-2sigs.sigstore.json"
	otherName   = "pkg/testing/data/bundles/othername.sigstore.json"
	keyed       = "pkg/testing/data/bundles/public-key-validity.sigstore.json"
	keyedKey    = "pkg/testing/data/public-keys/public-key-validity.pem"
	keyedRoot   = "pkg/testing/data/trusted-roots/public-key-validity.json"
	scaffolding = "pkg/testing/data/trusted-roots/scaffolding.json"
	earlierRoot = "examples/trusted-root-public-good.json"

	digest1       = "sha512:76176ffa33808b54602c7c35de5c6e9a4deb96066dba6533f50ac234f4f1f4c6b3527515dc17c06fbe2860030f410eee69ea20079bd3a2c6f3dcf3b329b10751"
	digest2       = "sha512:46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c"
	digestEmailed = "sha512:bbfd372fc9beeb777fe35d05bb10c0c70a9733d366a75fed7dd18866c7391de3ee7e88ba74dd47abf3e15c845e547fcf0e5c3da80854c751554224d3a6d4e55f"
	digestKeyed   = "sha256:6ae8a75555209fd6c44157c0aed8016e763ff435a19cf186f76863140143ff72"
	digestOther   = "sha256:bc103b4a84971ef6459b294a2b98568a2bfb72cded09d4acd1e16366a401f95b"

	workflowIssuer = "https://token.actions.githubusercontent.com"
	workflowName   = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml@refs/heads/main"
	emailIssuer    = "https://github.com/login/oauth"
	emailName      = "brian@dehamer.com"
)

// publicCase is a bundle that is not ours, and a signer.
type publicCase struct {
	reason string
	bundle string
	edit   func([]byte) []byte
	digest string

	// Who must have signed: an identity, or a key.
	issuer, subject string
	source          string
	key             string
	editRoot        func([]byte) []byte
	root            string // empty: the snapshot that we ship
	options         func(*sigstore.Options)

	want          evidence.Reason // empty: it is proven
	predicateType string
	made          time.Time
}

// TestPublicBundles replays, offline, what Sigstore's public instance and its
// test instances made.
func TestPublicBundles(t *testing.T) {
	for name, tc := range publicCases(t) {
		t.Run(name, func(t *testing.T) {
			raw := foreign(t, tc.bundle)
			if tc.edit != nil {
				edited := tc.edit(bytes.Clone(raw))
				if bytes.Equal(edited, raw) {
					t.Fatal("want the bundle edited, it is as it was")
				}
				raw = edited
			}
			digest, err := imageref.ParseDigest(tc.digest)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := tc.signer(t).VerifyBundle(t.Context(), raw, sigstore.DigestArtifact(digest))
			if tc.want != "" {
				var p *evidence.Problem
				if !errors.As(err, &p) || p.Reason != tc.want {
					t.Fatalf("%s: want %s, got %v", tc.reason, tc.want, err)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: want it proven, got %v", tc.reason, err)
			}
			tc.compare(t, proof)
		})
	}
}

// compare looks at what a proof says.
func (c publicCase) compare(t *testing.T, proof policy.Proof) {
	t.Helper()
	if !proof.Time.Equal(c.made) {
		t.Errorf("%s: want it made at %s, got %s", c.reason, c.made, proof.Time)
	}
	stated := ""
	if proof.Statement != nil {
		stated = proof.Statement.Type
	}
	if stated != c.predicateType {
		t.Errorf("%s: want predicate type %q, got %q", c.reason, c.predicateType, stated)
	}
	if c.key != "" {
		return
	}
	if proof.Testimony == nil || proof.Testimony.Certificate == nil || proof.Testimony.Certificate.Identity != c.subject || proof.Testimony.Certificate.Issuer != c.issuer {
		t.Errorf("%s: want a testimony of %q by %q, got %+v", c.reason, c.subject, c.issuer, proof.Testimony)
	}
}

// publicCases are the bundles as they are, and what must not come of them.
func publicCases(t *testing.T) map[string]publicCase {
	t.Helper()
	at := func(s string) time.Time {
		made, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	own := publicCase{
		reason: "a GitHub workflow's provenance of 2023", bundle: provenance2, digest: digest2, issuer: workflowIssuer, subject: workflowName,
		predicateType: "https://slsa.dev/provenance/v1", made: at("2023-08-18T16:05:35Z"),
	}
	publish := publicCase{
		reason: "npm's publish attestation, by a key", bundle: publish1, digest: digest1, key: publishKey,
		predicateType: "https://github.com/npm/attestation/tree/main/specs/publish/v0.1", made: at("2023-04-18T17:45:16Z"),
	}
	message := publicCase{
		reason: "a message signature by a key, timestamped and in no log", bundle: keyed, digest: digestKeyed, key: keyedKey, root: keyedRoot, made: at("2026-06-04T17:43:29Z"),
		options: func(o *sigstore.Options) {
			o.TransparencyLog, o.Timestamps = sigstore.LogIgnored, sigstore.TimestampsRequired
		},
	}
	with := func(c publicCase, change func(*publicCase)) publicCase {
		change(&c)
		return c
	}
	refused := func(c publicCase, reason string, want evidence.Reason, change func(*publicCase)) publicCase {
		c.reason, c.want = reason, want
		change(&c)
		return c
	}
	return map[string]publicCase{
		"Provenance1": own,
		"Provenance02": with(own, func(c *publicCase) {
			c.reason, c.bundle, c.digest = "a GitHub workflow's provenance of an earlier version", provenance1, digest1
			c.predicateType, c.made = "https://slsa.dev/provenance/v0.2", at("2023-04-18T17:45:12Z")
		}),
		"EarlierRoot": with(own, func(c *publicCase) {
			c.reason, c.root = "the public instance's root as it was then is enough", earlierRoot
		}),
		"Email": with(own, func(c *publicCase) {
			c.reason, c.bundle, c.digest, c.issuer, c.subject = "a person's provenance of 2022, whose authority and log have been retired since", emailed, digestEmailed, emailIssuer, emailName
			c.predicateType, c.made = "https://slsa.dev/provenance/v0.2", at("2022-11-09T23:00:36Z")
		}),
		"OtherName": with(own, func(c *publicCase) {
			c.reason, c.bundle, c.digest, c.root = "a name of the kind that Fulcio gives to users, by a test instance", otherName, digestOther, scaffolding
			c.issuer, c.subject, c.predicateType, c.made = "http://oidc.local:8080", "foo!oidc.local", "", at("2024-07-12T19:06:29Z")
		}),
		"Publish":   publish,
		"Timestamp": message,

		"R21OtherDigest":  refused(own, "the provenance of one version is none of another", evidence.SubjectMismatch, func(c *publicCase) { c.digest = digest1 }),
		"R21OtherMessage": refused(message, "a message signature is of one message", evidence.SubjectMismatch, func(c *publicCase) { c.digest = digestOther }),
		"R24Twice": refused(own, "an envelope in a bundle has one signature", evidence.MalformedEvidence, func(c *publicCase) {
			c.bundle, c.digest, c.issuer, c.subject = twice, digestEmailed, emailIssuer, emailName
		}),
		"R24Edited":        refused(own, "another payload under the signature", evidence.SignerMismatch, func(c *publicCase) { c.edit = otherPayload(t) }),
		"R25NoEntry":       refused(own, "without its log entry a bundle proves nothing about when", evidence.LogEntryMissing, func(c *publicCase) { c.edit = withEntries(t, nil) }),
		"R25OtherEntry":    refused(own, "the log entry is another bundle's", evidence.LogEntryInvalid, func(c *publicCase) { c.edit = withEntries(t, foreign(t, provenance1)) }),
		"R25OtherEntryKey": refused(publish, "the log entry is another signer's of the same package", evidence.LogEntryInvalid, func(c *publicCase) { c.edit = withEntries(t, foreign(t, provenance1)) }),
		"R27OtherIdentity": refused(own, "another workflow", evidence.IdentityMismatch, func(c *publicCase) {
			c.subject = "https://github.com/sigstore/sigstore-js/.github/workflows/other.yml@refs/heads/main"
		}),
		"R27OtherIssuer":    refused(own, "the identity by another issuer", evidence.IdentityMismatch, func(c *publicCase) { c.issuer = emailIssuer }),
		"R27OtherSource":    refused(own, "the workflow did not build that repository", evidence.IdentityMismatch, func(c *publicCase) { c.source = "https://github.com/sigstore/cosign" }),
		"R14PrefixIdentity": refused(own, "an identity is not matched by its beginning", evidence.IdentityMismatch, func(c *publicCase) { c.subject = "https://github.com/sigstore/sigstore-js/" }),
		"OtherRoot":         refused(own, "a root of another instance", evidence.LogEntryInvalid, func(c *publicCase) { c.root = scaffolding }),
		"R27OtherCA":        refused(own, "the log is the root's, the authority is not", evidence.CertificateUntrusted, func(c *publicCase) { c.root, c.editRoot = earlierRoot, withPart(t, "certificateAuthorities") }),
		"R27OtherCTLog":     refused(own, "the promise is by a log that the root does not have", evidence.CertificateUntrusted, func(c *publicCase) { c.root, c.editRoot = earlierRoot, withPart(t, "ctlogs") }),
		"OtherKey":          refused(publish, "another key", evidence.SignerMismatch, func(c *publicCase) { c.key = keyedKey }),
		"KeyForIdentity":    refused(publish, "no key is asked for, and no certificate is there", evidence.SignerMismatch, func(c *publicCase) { c.key, c.issuer, c.subject = "", workflowIssuer, workflowName }),
		"NoTimestamp": refused(own, "a timestamp is required, and the bundle has none", evidence.TimestampMissing, func(c *publicCase) {
			c.options = func(o *sigstore.Options) { o.Timestamps = sigstore.TimestampsRequired }
		}),
		"R4Truncated": refused(own, "a bundle that ends early", evidence.MalformedEvidence, func(c *publicCase) { c.edit = func(raw []byte) []byte { return raw[:len(raw)/2] } }),
		"R4Empty":     refused(own, "nothing at all", evidence.MalformedEvidence, func(c *publicCase) { c.edit = func([]byte) []byte { return nil } }),
	}
}

// edited changes a bundle's JSON.
func edited(t *testing.T, change func(map[string]any)) func([]byte) []byte {
	t.Helper()
	return func(raw []byte) []byte {
		var b map[string]any
		if err := json.Unmarshal(raw, &b); err != nil {
			t.Fatal(err)
		}
		change(b)
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
}

// otherPayload puts another builder into the statement.
func otherPayload(t *testing.T) func([]byte) []byte {
	t.Helper()
	return edited(t, func(b map[string]any) {
		envelope := b["dsseEnvelope"].(map[string]any)
		payload, err := base64.StdEncoding.DecodeString(envelope["payload"].(string))
		if err != nil {
			t.Fatal(err)
		}
		other := bytes.Replace(payload, []byte("github-hosted"), []byte("self-hosted"), 1)
		if bytes.Equal(other, payload) {
			t.Fatal("want the payload changed, it is as it was")
		}
		envelope["payload"] = base64.StdEncoding.EncodeToString(other)
	})
}

// withPart takes one part of a trusted root from another instance's.
func withPart(t *testing.T, part string) func([]byte) []byte {
	t.Helper()
	var other map[string]any
	if err := json.Unmarshal(foreign(t, scaffolding), &other); err != nil {
		t.Fatal(err)
	}
	return edited(t, func(root map[string]any) { root[part] = other[part] })
}

// withEntries puts another bundle's log entries into a bundle, or none.
func withEntries(t *testing.T, from []byte) func([]byte) []byte {
	t.Helper()
	entries := []any{}
	if from != nil {
		var other struct{ VerificationMaterial struct{ TlogEntries []any } }
		if err := json.Unmarshal(from, &other); err != nil {
			t.Fatal(err)
		}
		entries = other.VerificationMaterial.TlogEntries
	}
	return edited(t, func(b map[string]any) { b["verificationMaterial"].(map[string]any)["tlogEntries"] = entries })
}

// signer makes who must have signed.
func (c publicCase) signer(t *testing.T) *sigstore.Signer {
	t.Helper()
	var o sigstore.Options
	var err error
	if c.root == "" {
		o.TrustedRoot, err = sigstore.PublicGood()
	} else {
		raw := foreign(t, c.root)
		if c.editRoot != nil {
			raw = c.editRoot(raw)
		}
		o.TrustedRoot, err = sigstore.NewTrustedRoot(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	if c.options != nil {
		c.options(&o)
	}
	var s *sigstore.Signer
	if c.key != "" {
		s, err = sigstore.NewKey(foreign(t, c.key), sigstore.KeyOptions{Options: o})
	} else {
		identity := sigstore.Identity{Issuer: sigstore.Exactly(c.issuer), Subject: sigstore.Exactly(c.subject), SourceRepository: c.source}
		s, err = sigstore.NewKeyless(identity, sigstore.KeylessOptions{Options: o})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}
