package notation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/notaryproject/notation-core-go/signature"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// buildPlugin compiles the plugin of testdata once for all tests.
var buildPlugin = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "notation-plugin-test-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "notation-acme")
	build := exec.Command("go", "build", "-o", file, "./testdata/plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.New(string(out))
	}
	return os.ReadFile(file)
})

// installation is a folder of plugins, with one that is called "acme".
type installation struct {
	dir    string
	host   *notation.PluginHost
	plugin notation.Plugin
	record string // what the plugin's runs leave behind
}

func install(t testing.TB, environment ...string) installation {
	t.Helper()
	program, err := buildPlugin()
	must(t, program, err)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "acme", "notation-acme"), program, 0o500); err != nil {
		t.Fatal(err)
	}
	host, err := notation.NewPluginHost(dir, environment)
	must(t, host, err)
	host.SetTimeout(time.Minute) // the machine may be busy
	record := filepath.Join(t.TempDir(), "record")
	sum := sha256.Sum256(program)
	return installation{
		dir: dir, host: host, record: record,
		plugin: notation.Plugin{Name: "acme", SHA256: hex.EncodeToString(sum[:]), Config: map[string]string{"record": record}},
	}
}

// with adds to the plugin's configuration, given in pairs.
func (i installation) with(pairs ...string) installation {
	config := map[string]string{"record": i.record}
	for n := 0; n < len(pairs); n += 2 {
		config[pairs[n]] = pairs[n+1]
	}
	i.plugin.Config = config
	return i
}

// allowed are options that allow the plugin.
func (i installation) allowed(p pki) notation.Options {
	o := p.options()
	o.Plugins, o.PluginHost = []notation.Plugin{i.plugin}, i.host
	return o
}

// run is what the plugin saw.
type run struct {
	Arguments   []string
	Environment []string
	Folder      string
	Request     json.RawMessage
}

func (i installation) runs(t testing.TB) []run {
	t.Helper()
	data, err := os.ReadFile(i.record)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	must(t, data, err)
	var runs []run
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var r run
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, r)
	}
	return runs
}

// callsFor are attributes that name a plugin, with more.
func callsFor(name string, more ...signature.Attribute) []signature.Attribute {
	return append([]signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Critical: true, Value: name}}, more...)
}

func critical(name string, value any) signature.Attribute {
	return signature.Attribute{Key: name, Critical: true, Value: value}
}

func TestR30PluginAddsToOurChecks(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	replaces := func(checks ...string) func(*notation.Options) {
		return func(o *notation.Options) { o.Plugins[0].Replaces = checks }
	}
	stranger := func(o *notation.Options) { o.TrustedIdentities = []string{identity("someone else")} }
	revoked := func(o *notation.Options) { o.Revocation = &answers{leaf: notation.Revoked} }
	unknown := func(o *notation.Options) { o.Revocation = &answers{leaf: notation.Unknown, err: errors.New("offline")} }
	for name, tc := range map[string]struct {
		reason string
		config []string
		edit   []func(*notation.Options)
		want   evidence.Reason
		ran    bool // asked about the signature
	}{
		"BothPass":          {reason: "ours and the plugin's", want: "", ran: true},
		"PluginNoIdentity":  {reason: "the plugin does not know the signer", config: []string{"mode", "NoIdentity"}, want: evidence.IdentityMismatch, ran: true},
		"PluginRevoked":     {reason: "the plugin says revoked", config: []string{"mode", "NoRevocation"}, want: evidence.CertificateRevoked, ran: true},
		"OurIdentity":       {reason: "the plugin would trust whom we do not", edit: []func(*notation.Options){stranger}, want: evidence.IdentityMismatch},
		"OurRevocation":     {reason: "the plugin would pass what we know to be revoked", edit: []func(*notation.Options){revoked}, want: evidence.CertificateRevoked},
		"OurUnknown":        {reason: "the plugin would pass what we know nothing of", edit: []func(*notation.Options){unknown}, want: evidence.RevocationUnknown},
		"ReplacesIdentity":  {reason: "the signer leaves identities to the plugin", edit: []func(*notation.Options){stranger, replaces("trustedIdentity")}, want: "", ran: true},
		"ReplacesOnlyThat":  {reason: "revocation stays ours", edit: []func(*notation.Options){revoked, replaces("trustedIdentity")}, want: evidence.CertificateRevoked},
		"ReplacesRevoked":   {reason: "the signer leaves revocation to the plugin", edit: []func(*notation.Options){unknown, replaces("revocation")}, want: "", ran: true},
		"ReplacesNotWho":    {reason: "identities stay ours", edit: []func(*notation.Options){stranger, replaces("revocation")}, want: evidence.IdentityMismatch},
		"ReplacesBoth":      {reason: "the signer leaves both", edit: []func(*notation.Options){stranger, unknown, replaces("trustedIdentity", "revocation")}, want: "", ran: true},
		"ReplacedSaysNo":    {reason: "what replaces our check denies", config: []string{"mode", "NoIdentity"}, edit: []func(*notation.Options){replaces("trustedIdentity")}, want: evidence.IdentityMismatch, ran: true},
		"ReplacedRevoked":   {reason: "what replaces our check denies", config: []string{"mode", "NoRevocation"}, edit: []func(*notation.Options){replaces("revocation")}, want: evidence.CertificateRevoked, ran: true},
		"CannotReplace":     {reason: "nobody would check identities", config: []string{"capabilities", "SIGNATURE_VERIFIER.REVOCATION_CHECK"}, edit: []func(*notation.Options){stranger, replaces("trustedIdentity")}, want: evidence.PluginFailed},
		"CannotReplaceThat": {reason: "nobody would check revocation", config: []string{"capabilities", "SIGNATURE_VERIFIER.TRUSTED_IDENTITY"}, edit: []func(*notation.Options){unknown, replaces("revocation")}, want: evidence.PluginFailed},
		"OneCapability":     {reason: "it is asked what it can do", config: []string{"capabilities", "SIGNATURE_VERIFIER.REVOCATION_CHECK"}, want: "", ran: true},
		"LoggedRevocation":  {reason: "known to be revoked ends it at every level (R29)", config: []string{"mode", "NoRevocation"}, edit: []func(*notation.Options){func(o *notation.Options) { o.Level = notation.Permissive }}, want: evidence.CertificateRevoked, ran: true},
		"SkippedRevocation": {reason: "what the policy skips the plugin is not asked for", config: []string{"mode", "NoRevocation"}, edit: []func(*notation.Options){func(o *notation.Options) { o.Override = map[string]string{"revocation": "skip"} }}, want: "", ran: true},
		"NotAllowed":        {reason: "the signer allows another plugin", edit: []func(*notation.Options){func(o *notation.Options) { o.Plugins[0].Name = "other" }}, want: evidence.UnsupportedEvidence},
		"NoneAllowed":       {reason: "the signer allows none", edit: []func(*notation.Options){func(o *notation.Options) { o.Plugins = nil }}, want: evidence.UnsupportedEvidence},
		"NoHost":            {reason: "the operator has no plugins", edit: []func(*notation.Options){func(o *notation.Options) { o.PluginHost = nil }}, want: evidence.PluginFailed},
	} {
		for format, f := range formats {
			t.Run(name+format, func(t *testing.T) {
				i := install(t).with(tc.config...)
				o := i.allowed(p)
				for _, edit := range tc.edit {
					edit(&o)
				}
				verified(t, newSigner(t, o), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{Format: f, Attributes: callsFor("acme")}), tc.want)
				ran := slices.ContainsFunc(i.runs(t), func(r run) bool { return r.Arguments[1] == "verify-signature" })
				if ran != tc.ran {
					t.Errorf("%s: want the plugin to be asked: %t, got %t", tc.reason, tc.ran, ran)
				}
			})
		}
	}
}

// TestR30NothingRunsForStrangers: not even the plugin's metadata are asked for
// before all that we can check has passed.
func TestR30NothingRunsForStrangers(t *testing.T) {
	now := time.Now()
	p, other := newPKI(t, fixture.CertificateOptions{NotBefore: now.Add(-9 * hour)}), newPKI(t, fixture.CertificateOptions{})
	untrusted := func(o *notation.Options) {
		o.TrustStores = []notation.TrustStore{other.store(notation.CA)}
	}
	for name, tc := range map[string]struct {
		edit  func(*notation.Options)
		sign  fixture.NotationOptions
		image string
		bytes func(*testing.T, evidence.Item) evidence.Item
		want  evidence.Reason
	}{
		"Untrusted": {edit: untrusted, want: evidence.CertificateUntrusted},
		"UntrustedReplaced": {edit: func(o *notation.Options) {
			untrusted(o)
			o.Plugins[0].Replaces = []string{"trustedIdentity", "revocation"}
		}, want: evidence.CertificateUntrusted},
		"UntrustedLogged":   {edit: func(o *notation.Options) { untrusted(o); o.Level = notation.Audit }, want: evidence.CertificateUntrusted},
		"UntrustedAdmitted": {edit: func(o *notation.Options) { untrusted(o); o.Level, o.AdmitNotEnforced = notation.Audit, true }, want: evidence.CertificateUntrusted},
		"OtherImage":        {image: "other", want: evidence.SubjectMismatch},
		"Tampered":          {image: "other", bytes: func(t *testing.T, it evidence.Item) evidence.Item { return retarget(t, it, image("other")) }, want: evidence.MalformedEvidence},
		"Expired":           {sign: fixture.NotationOptions{SigningTime: now.Add(-3 * hour), Expiry: now.Add(-hour)}, want: evidence.SignatureExpired},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t)
			o := i.allowed(p)
			if tc.edit != nil {
				tc.edit(&o)
			}
			tc.sign.Attributes = callsFor("acme")
			it := item(t, image("content"), p.leaf, tc.sign)
			if tc.bytes != nil {
				it = tc.bytes(t, it)
			}
			of := image("content")
			if tc.image != "" {
				of = image(tc.image)
			}
			verified(t, newSigner(t, o), of, it, tc.want)
			if runs := i.runs(t); len(runs) > 0 {
				t.Errorf("want no process, got %v", runs)
			}
		})
	}
}

// TestR30FaultOfThePluginProvesNothing: nor does it deny.
func TestR30FaultOfThePluginProvesNothing(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	for name, config := range map[string][]string{
		"OtherName":       {"metadata", "OtherName"},
		"OtherContract":   {"metadata", "OtherContract"},
		"NoVersion":       {"metadata", "NoVersion"},
		"MetadataType":    {"metadata", "WrongType"},
		"MetadataGarbage": {"metadata", "Garbage"},
		"NoCapability":    {"capabilities", "SIGNATURE_GENERATOR.RAW"},
		"MissingResult":   {"mode", "Missing"},
		"NullResult":      {"mode", "Null"},
		"NoSuccess":       {"mode", "NoSuccess"},
		"LiesCapability":  {"mode", "Extra"},
		"ClaimsMore":      {"mode", "NoIdentity", "capabilities", "SIGNATURE_VERIFIER.REVOCATION_CHECK"},
		"WrongType":       {"mode", "WrongType"},
		"Empty":           {"mode", "Empty"},
		"ResultTwice":     {"mode", "Twice"},
		"NotUTF8":         {"mode", "Text"},
		"TwoAnswers":      {"mode", "Trailing"},
		"Crash":           {"mode", "Crash"},
		"Refuses":         {"mode", "Refuse"},
		"ExitCode":        {"mode", "Succeed1"},
		"LongOutput":      {"mode", "Long"},
		"LongErrors":      {"mode", "LongErrors"},
		"EndlessOutput":   {"mode", "Flood"},
		"EndlessErrors":   {"mode", "FloodErrors"},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t).with(append(config, "token", "s3cr3t-token")...)
			_, err := newSigner(t, i.allowed(p)).Verify(t.Context(), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")}))
			if got := evidence.ProblemOf(err); err == nil || got.Reason != evidence.PluginFailed || !got.Undecided() {
				t.Fatalf("want PluginFailed, undecided, got %v", err)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("want a message without the configuration (R47), got %q", err)
			}
			if len(i.runs(t)) == 0 {
				t.Error("want the plugin to have run")
			}
		})
	}
}

func TestR30ExecutableIsPinned(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
	for name, spoil := range map[string]func(t *testing.T, i *installation, file string) error{
		"OtherDigest": func(_ *testing.T, i *installation, _ string) error {
			i.plugin.SHA256 = strings.Repeat("0", 64)
			return nil
		},
		"OtherBytes": func(_ *testing.T, _ *installation, file string) error {
			f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("x")
			return err
		},
		"Missing": func(_ *testing.T, _ *installation, file string) error { return os.Remove(file) },
		"Folder": func(_ *testing.T, _ *installation, file string) error {
			return errors.Join(os.Remove(file), os.Mkdir(file, 0o700))
		},
		"LinkOutside": func(t *testing.T, _ *installation, file string) error {
			outside := filepath.Join(t.TempDir(), "program")
			return errors.Join(os.Rename(file, outside), os.Symlink(outside, file))
		},
		"Script": func(_ *testing.T, i *installation, file string) error {
			script := []byte("#!/bin/sh\necho '{}' >" + i.record + "\n")
			sum := sha256.Sum256(script)
			i.plugin.SHA256 = hex.EncodeToString(sum[:])
			return errors.Join(os.Remove(file), os.WriteFile(file, script, 0o700))
		},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t)
			file := filepath.Join(i.dir, "acme", "notation-acme")
			if err := errors.Join(os.Chmod(file, 0o700), spoil(t, &i, file)); err != nil {
				t.Fatal(err)
			}
			verified(t, newSigner(t, i.allowed(p)), image("content"), it, evidence.PluginFailed)
			if runs := i.runs(t); len(runs) > 0 {
				t.Errorf("want no process, got %v", runs)
			}
		})
	}
}

func TestR30CleanSurroundings(t *testing.T) {
	t.Setenv("BONAFIDE_TEST_SECRET", "inherited")
	p := newPKI(t, fixture.CertificateOptions{})
	for name, environment := range map[string][]string{"Empty": nil, "Given": {"AWS_REGION=eu-1"}} {
		t.Run(name, func(t *testing.T) {
			i := install(t, environment...)
			verified(t, newSigner(t, i.allowed(p)), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")}), "")
			runs := i.runs(t)
			if len(runs) != 2 {
				t.Fatalf("want metadata and verification, got %d runs", len(runs))
			}
			for n, command := range []string{"get-plugin-metadata", "verify-signature"} {
				got := runs[n]
				// os/exec may tell a process its own folder.
				got.Environment = slices.DeleteFunc(got.Environment, func(v string) bool { return v == "PWD=/" })
				want := run{Arguments: []string{"notation-acme", command}, Environment: append([]string{}, environment...), Folder: "/", Request: got.Request}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("-want +got:\n%s", d)
				}
			}
		})
	}
}

func TestPluginRequest(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	i := install(t).with("color", "blue")
	sign := fixture.NotationOptions{Attributes: callsFor("acme",
		critical("io.cncf.notary.verificationPluginMinVersion", "1.2.3"), critical("x5u", "https://acme.example/c"), signature.Attribute{Key: "note", Value: "n"})}
	verified(t, newSigner(t, i.allowed(p)), image("content"), item(t, image("content"), p.leaf, sign), "")
	runs := i.runs(t)
	if len(runs) != 2 {
		t.Fatalf("want two runs, got %d", len(runs))
	}
	var got any
	if err := json.Unmarshal(runs[1].Request, &got); err != nil {
		t.Fatal(err)
	}
	var chain []any
	for _, c := range p.leaf.Chain {
		raw, err := json.Marshal(c.Raw)
		chain = append(chain, strings.Trim(string(must(t, raw, err)), `"`))
	}
	want := map[string]any{
		"contractVersion": "1.0",
		"signature": map[string]any{
			"criticalAttributes": map[string]any{
				"contentType": "application/vnd.cncf.notary.payload.v1+json", "signingScheme": "notary.x509",
				"extendedAttributes": map[string]any{"x5u": "https://acme.example/c", "note": "n"},
			},
			"unprocessedAttributes": []any{"x5u"},
			"certificateChain":      chain,
		},
		"trustPolicy": map[string]any{
			"trustedIdentities":     []any{identity("signer")},
			"signatureVerification": []any{"SIGNATURE_VERIFIER.TRUSTED_IDENTITY", "SIGNATURE_VERIFIER.REVOCATION_CHECK"},
		},
		"pluginConfig": map[string]any{"record": i.record, "color": "blue"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestR30AttributesOfPlugins(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	const minVersion = "io.cncf.notary.verificationPluginMinVersion"
	for name, tc := range map[string]struct {
		reason     string
		attributes []signature.Attribute
		config     []string
		format     fixture.NotationFormat
		want       evidence.Reason
	}{
		"Processed":         {reason: "the plugin understands the attribute", attributes: callsFor("acme", critical("a", "b")), want: ""},
		"Unprocessed":       {reason: "nobody understands the attribute", attributes: callsFor("acme", critical("a", "b")), config: []string{"mode", "Unprocessed"}, want: evidence.UnsupportedEvidence},
		"UnprocessedOther":  {reason: "an attribute that is not critical may be passed over", attributes: callsFor("acme", signature.Attribute{Key: "a", Value: "b"}), config: []string{"mode", "Unprocessed"}, want: ""},
		"Structured":        {reason: "values need not be texts", attributes: callsFor("acme", critical("a", map[string]any{"b": []any{"c"}})), want: ""},
		"Number":            {reason: "the protocol cannot name it", attributes: callsFor("acme", signature.Attribute{Key: int64(4711), Critical: true, Value: "b"}), format: fixture.COSE, want: evidence.UnsupportedEvidence},
		"NotCritical":       {reason: "who may ignore it does not need it", attributes: []signature.Attribute{{Key: "io.cncf.notary.verificationPlugin", Value: "acme"}}, want: evidence.UnsupportedEvidence},
		"NotText":           {reason: "no name", attributes: []signature.Attribute{critical("io.cncf.notary.verificationPlugin", 7)}, want: evidence.UnsupportedEvidence},
		"NameOfFolder":      {reason: "no name of a plugin", attributes: callsFor("../acme"), want: evidence.UnsupportedEvidence},
		"NoName":            {reason: "no name", attributes: callsFor(" "), want: evidence.UnsupportedEvidence},
		"OtherSpelling":     {reason: "another reader would see a plugin", attributes: []signature.Attribute{critical("IO.cncf.notary.verificationPlugin", "acme")}, format: fixture.COSE, want: evidence.UnsupportedEvidence},
		"OldEnough":         {reason: "the plugin is as new as asked for", attributes: callsFor("acme", critical(minVersion, "1.2.3")), want: ""},
		"TooOld":            {reason: "the plugin is older than asked for", attributes: callsFor("acme", critical(minVersion, "1.3.0")), want: evidence.UnsupportedEvidence},
		"VersionAlone":      {reason: "of which plugin", attributes: []signature.Attribute{critical(minVersion, "1.0.0")}, want: evidence.UnsupportedEvidence},
		"NoVersion":         {reason: "no semantic version", attributes: callsFor("acme", critical(minVersion, "1.2")), want: evidence.UnsupportedEvidence},
		"LongVersion":       {reason: "bounded", attributes: callsFor("acme", critical(minVersion, strings.Repeat("9", 100)+".0.0")), want: evidence.UnsupportedEvidence},
		"VersionNotText":    {reason: "no version", attributes: callsFor("acme", critical(minVersion, 1)), want: evidence.UnsupportedEvidence},
		"VersionNotCrucial": {reason: "who may ignore it does not need it", attributes: callsFor("acme", signature.Attribute{Key: minVersion, Value: "1.0.0"}), want: evidence.UnsupportedEvidence},
	} {
		t.Run(name, func(t *testing.T) {
			i := install(t).with(tc.config...)
			verified(t, newSigner(t, i.allowed(p)), image("content"), item(t, image("content"), p.leaf, fixture.NotationOptions{Format: tc.format, Attributes: tc.attributes}), tc.want)
		})
	}
}

// TestR30SignatureWithoutPlugin: what a signer allows changes nothing for
// signatures that call for nothing.
func TestR30SignatureWithoutPlugin(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	i := install(t)
	o := i.allowed(p)
	o.Plugins[0].Replaces = []string{"trustedIdentity", "revocation"}
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{})
	verified(t, newSigner(t, o), image("content"), it, "")
	o.Revocation = &answers{leaf: notation.Revoked}
	verified(t, newSigner(t, o), image("content"), it, evidence.CertificateRevoked)
	o.TrustedIdentities = []string{"arn:aws:signer:eu-1:1:/profile"}
	verified(t, newSigner(t, o), image("content"), it, evidence.IdentityMismatch)
	if runs := i.runs(t); len(runs) > 0 {
		t.Errorf("want no process, got %v", runs)
	}
}

func verdictOf(ctx context.Context, s *notation.Signer, it evidence.Item) evidence.Reason {
	_, err := s.Verify(ctx, image("content"), it)
	return reason(err)
}
