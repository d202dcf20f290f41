package sigstore_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/testca"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

func TestKinds(t *testing.T) {
	sha256Alone := sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Hash: crypto.SHA256}
	cases := map[string]struct {
		reason  string
		kind    fixture.KeyKind
		hash    crypto.Hash
		options sigstore.KeyOptions
		refused bool
	}{
		"P256":                {reason: "as cosign makes keys", kind: fixture.P256, hash: crypto.SHA256},
		"P256WithSHA512":      {reason: "not what cosign signs with", kind: fixture.P256, hash: crypto.SHA512, refused: true},
		"P256WithSHA512Asked": {reason: "the policy names the hash", kind: fixture.P256, hash: crypto.SHA512, options: sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Hash: crypto.SHA512}},
		"P384":                {reason: "cosign signs with the curve's hash", kind: fixture.P384, hash: crypto.SHA384},
		"P384WithSHA256":      {reason: "cosign once signed with SHA-256", kind: fixture.P384, hash: crypto.SHA256},
		"P384WithSHA512":      {reason: "neither", kind: fixture.P384, hash: crypto.SHA512, refused: true},
		"P384OnlySHA256":      {reason: "the policy names the hash", kind: fixture.P384, hash: crypto.SHA384, options: sha256Alone, refused: true},
		"P521":                {reason: "cosign signs with the curve's hash", kind: fixture.P521, hash: crypto.SHA512},
		"P521WithSHA256":      {reason: "cosign once signed with SHA-256", kind: fixture.P521, hash: crypto.SHA256},
		"RSA2048":             {reason: "PKCS #1 v1.5", kind: fixture.RSA2048, hash: crypto.SHA256},
		"RSAWithSHA512":       {reason: "not what cosign signs with", kind: fixture.RSA2048, hash: crypto.SHA512, refused: true},
		"Ed25519Prehashed":    {reason: "as cosign signs", kind: fixture.Ed25519, hash: crypto.SHA512},
		"Ed25519Pure":         {reason: "as other tools sign", kind: fixture.Ed25519, hash: crypto.SHA256},
	}
	image := app(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if tc.options.TransparencyLog == sigstore.LogRequired {
				tc.options = ignored
			}
			k := newKey(t, tc.kind)
			s := signer(t, k, tc.options)
			reason := evidence.Reason("")
			if tc.refused {
				reason = evidence.SignerMismatch
			}
			t.Log(tc.reason)
			want(t, s, image, simple(t, image, k, fixture.CosignOptions{Hash: tc.hash}), reason)
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{Hash: tc.hash}), reason)
			want(t, s, image, bundled(t, image, k, fixture.BundleOptions{Hash: tc.hash, MessageSignature: true}), reason)
		})
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkix(tb testing.TB, public crypto.PublicKey) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return block("PUBLIC KEY", der)
}

func rsaOf(bits, exponent int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: exponent}
}

func TestNewKeyRefuses(t *testing.T) {
	k := newKey(t, fixture.P256)
	small, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k.Signer)
	if err != nil {
		t.Fatal(err)
	}
	headed := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte("x")})
	ed := newKey(t, fixture.Ed25519)
	cases := map[string]struct {
		reason string
		pem    []byte
		hash   crypto.Hash
		says   string
	}{
		"Empty":               {reason: "nothing", says: "BEGIN PUBLIC KEY"},
		"NotPEM":              {reason: "base64 without a frame", pem: []byte("MFkw"), says: "BEGIN PUBLIC KEY"},
		"TextBefore":          {reason: "a reader may skip what another reads", pem: append([]byte("key:\n"), k.PublicPEM...), says: "BEGIN PUBLIC KEY"},
		"TextAfter":           {reason: "likewise", pem: append(bytes.Clone(k.PublicPEM), 'x'), says: "nothing after"},
		"TwoKeys":             {reason: "which one?", pem: append(bytes.Clone(k.PublicPEM), k.PublicPEM...), says: "one PEM block, got 2"},
		"BrokenThenWhole":     {reason: "a decoder skips the broken block", pem: append([]byte("-----BEGIN PUBLIC KEY-----\n!\n"), k.PublicPEM...), says: "one PEM block, got 2"},
		"Broken":              {reason: "no end", pem: []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n"), says: "does not parse"},
		"PrivateKey":          {reason: "a secret in a policy", pem: block("PRIVATE KEY", private), says: "private key"},
		"ECPrivateKey":        {reason: "likewise", pem: block("EC PRIVATE KEY", private), says: "private key"},
		"CosignPrivateKey":    {reason: "likewise", pem: block("ENCRYPTED SIGSTORE PRIVATE KEY", private), says: "private key"},
		"Certificate":         {reason: "not a key", pem: block("CERTIFICATE", []byte("x")), says: "certificate"},
		"TrustedCertificate":  {reason: "not a key", pem: block("TRUSTED CERTIFICATE", []byte("x")), says: "certificate"},
		"OtherBlock":          {reason: "not a key", pem: block("PGP PUBLIC KEY BLOCK", []byte("x")), says: "PGP PUBLIC KEY BLOCK"},
		"Headers":             {reason: "not a plain block", pem: headed, says: "headers"},
		"NotDER":              {reason: "no key inside", pem: block("PUBLIC KEY", []byte("x")), says: "public key"},
		"P224":                {reason: "a curve that nobody signs with", pem: pkix(t, small.Public()), says: "P-224"},
		"RSA1024":             {reason: "too weak", pem: pkix(t, rsaOf(1024, 65537)), says: "1024"},
		"RSA2047":             {reason: "one bit too weak", pem: pkix(t, rsaOf(2047, 65537)), says: "2047"},
		"RSA4097":             {reason: "one bit too slow", pem: pkix(t, rsaOf(4097, 65537)), says: "4097"},
		"RSA8192":             {reason: "too slow", pem: pkix(t, rsaOf(8192, 65537)), says: "8192"},
		"RSAExponent3":        {reason: "too small", pem: pkix(t, rsaOf(2048, 3)), says: "exponent"},
		"RSAExponentEven":     {reason: "no exponent", pem: pkix(t, rsaOf(2048, 65538)), says: "exponent"},
		"UnknownHash":         {reason: "SHA-1 is broken", pem: k.PublicPEM, hash: crypto.SHA1, says: "SHA-1"},
		"HashForEd25519":      {reason: "Ed25519 has its own", pem: ed.PublicPEM, hash: crypto.SHA256, says: "Ed25519"},
		"Huge":                {reason: "bounded", pem: bytes.Repeat([]byte("x"), 65<<10), says: "at most"},
		"RSAPublicKeyNotPKCS": {reason: "the frame and the content differ", pem: block("RSA PUBLIC KEY", []byte("x")), says: "public key"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := sigstore.NewKey(tc.pem, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Hash: tc.hash})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: want an error with %q, got %v", tc.reason, tc.says, err)
			}
			if err != nil && strings.Contains(err.Error(), "MF") {
				t.Errorf("want no key material in %q", err)
			}
		})
	}
}

func TestNewKeyAccepts(t *testing.T) {
	rsaKey := newKey(t, fixture.RSA2048)
	public, is := rsaKey.Signer.Public().(*rsa.PublicKey)
	if !is {
		t.Fatal("want an RSA key")
	}
	one := signer(t, rsaKey, ignored)
	two, err := sigstore.NewKey(block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public)), ignored)
	if err != nil {
		t.Fatal(err)
	}
	if one.ID() != two.ID() {
		t.Error("want one ID for one key in two forms")
	}
	if _, err := sigstore.NewKey(append([]byte("\n\n"), append(bytes.Clone(rsaKey.PublicPEM), "\n\n"...)...), ignored); err != nil {
		t.Errorf("want white space around the block accepted, got %v", err)
	}
	if _, err := sigstore.NewKey(pkix(t, rsaOf(4096, 65537)), ignored); err != nil {
		t.Errorf("want 4096 bits accepted, got %v", err)
	}
}

func TestR25OptionsContradict(t *testing.T) {
	k := newKey(t, fixture.P256)
	log := trustedRoot(t, testca.New(t, testca.Options{}).TrustedRoot())
	now := time.Unix(1_800_000_000, 0)
	cases := map[string]struct {
		reason  string
		options sigstore.KeyOptions
	}{
		"Zero":              {reason: "a log is required and there is no root"},
		"RootWithoutLog":    {reason: "or none with a log", options: sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: rootWith(t, nil, nil)}}},
		"EmptyRoot":         {reason: "a root that was not read", options: sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: &sigstore.TrustedRoot{}}}},
		"UnknownLog":        {reason: "neither required nor ignored", options: sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: 7, TrustedRoot: log}}},
		"ValidityWithout":   {reason: "nothing would prove a time", options: sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, NotAfter: now}},
		"ValidityBackwards": {reason: "no time is within", options: sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: log}, NotBefore: now, NotAfter: now}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := sigstore.NewKey(k.PublicPEM, tc.options); err == nil {
				t.Errorf("%s: want an error", tc.reason)
			}
		})
	}
}

func TestNewTrustedRootRefuses(t *testing.T) {
	raw := testca.New(t, testca.Options{}).TrustedRoot()
	for name, bad := range map[string][]byte{
		"Empty": nil, "NotJSON": []byte("x"), "OtherType": []byte(`{"mediaType":"x"}`),
		"Twice": append([]byte(`{"mediaType":"x",`), raw[1:]...),
		"Huge":  append(bytes.Repeat([]byte(" "), 1<<20), raw...),
	} {
		if _, err := sigstore.NewTrustedRoot(bad); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestProof(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	p, _ := pem.Decode(k.PublicPEM)
	sum := sha256.Sum256(p.Bytes)
	fingerprint := hex.EncodeToString(sum[:])
	s := signer(t, k, ignored)
	if got, want := s.Describe(), "key sha256:"+fingerprint[:12]+"…"; got != want {
		t.Errorf("Describe: want %q, got %q", want, got)
	}
	item := simple(t, image, k, fixture.CosignOptions{})
	item.Layer = 3
	proof := want(t, s, image, item, "").proof
	if got, want := proof.Identity, "key:"+fingerprint; got != want {
		t.Errorf("Identity: want %q, got %q", want, got)
	}
	if got, want := proof.Source, "cosign signature "+item.Manifest.String()+"[3]"; got != want {
		t.Errorf("Source: want %q, got %q", want, got)
	}
	if got, want := proof.Reference, "registry.test/acme/app"; got != want {
		t.Errorf("Reference: want %q, got %q", want, got)
	}
	if proof.Who != s.Describe() || !proof.Expires.IsZero() {
		t.Errorf("got %+v", proof)
	}
	// R28: the same key in another format is the same identity.
	other := want(t, s, image, bundled(t, image, k, fixture.BundleOptions{}), "").proof
	if other.Identity != proof.Identity || other.Source == proof.Source || other.Reference != "" {
		t.Errorf("got %+v", other)
	}
	if n := s.Need(); n != (evidence.Need{SimpleSigning: true, Bundle: true}) {
		t.Errorf("Need: got %+v", n)
	}
}

func TestR28OneKeyIsOneIdentity(t *testing.T) {
	k, image := newKey(t, fixture.P384), app(t)
	one := want(t, signer(t, k, ignored), image, simple(t, image, k, fixture.CosignOptions{}), "").proof
	narrow := sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Hash: crypto.SHA256}
	two := want(t, signer(t, k, narrow), image, simple(t, image, k, fixture.CosignOptions{Hash: crypto.SHA256}), "").proof
	if one.Identity != two.Identity {
		t.Error("want one identity for a key under two signers' options")
	}
}

func TestR34IDCoversEverything(t *testing.T) {
	k := newKey(t, fixture.P256)
	one, two := testca.New(t, testca.Options{}), testca.New(t, testca.Options{})
	repository := imageref.MustParse("registry.test/acme/app").Repository()
	now := time.Unix(1_800_000_000, 0)
	variants := map[string]*sigstore.Signer{
		"Plain":            signer(t, k, ignored),
		"OtherKey":         signer(t, newKey(t, fixture.P256), ignored),
		"Hash":             signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored}, Hash: crypto.SHA512}),
		"Root":             signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, TrustedRoot: trustedRoot(t, one.TrustedRoot())}}),
		"Log":              signer(t, k, required(t, one)),
		"OtherRoot":        signer(t, k, required(t, two)),
		"MatchRepository":  signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, SignedReference: sigstore.MatchRepository()}}),
		"SignedFor":        signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, SignedReference: sigstore.SignedFor(repository)}}),
		"Annotation":       signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"a": "b"}}}),
		"AnnotationShift":  signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"ab": ""}}}),
		"AnnotationOther":  signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: map[string]string{"a": "c"}}}),
		"NotBefore":        signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, one.TrustedRoot())}, NotBefore: now}),
		"NotAfter":         signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, one.TrustedRoot())}, NotAfter: now}),
		"NotAfterSomewhat": signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TrustedRoot: trustedRoot(t, one.TrustedRoot())}, NotAfter: now.Add(1)}),
	}
	seen := map[policy.SignerID]string{}
	for name, s := range variants {
		if other, twice := seen[s.ID()]; twice {
			t.Errorf("want another ID for %s than for %s", name, other)
		}
		seen[s.ID()] = name
	}
	again := signer(t, k, required(t, one))
	if again.ID() != variants["Log"].ID() {
		t.Error("want the same ID for the same content")
	}
}

func TestAnnotationsAreTheSignersOwn(t *testing.T) {
	k, image := newKey(t, fixture.P256), app(t)
	asked := map[string]string{"env": "prod"}
	s := signer(t, k, sigstore.KeyOptions{Options: sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: asked}})
	id := s.ID()
	delete(asked, "env")
	want(t, s, image, simple(t, image, k, fixture.CosignOptions{}), evidence.AnnotationMismatch)
	if s.ID() != id {
		t.Error("want the signer unchanged by its caller's map")
	}
}

func FuzzPublicKey(f *testing.F) {
	for _, kind := range []fixture.KeyKind{fixture.P256, fixture.P384, fixture.P521, fixture.RSA2048, fixture.Ed25519} {
		k := newKey(f, kind)
		f.Add(k.PublicPEM)
		f.Add(append(bytes.Clone(k.PublicPEM), k.PublicPEM...))
	}
	f.Add(block("PRIVATE KEY", []byte("x")))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := sigstore.NewKey(raw, ignored)
		if err != nil {
			return
		}
		b, _ := pem.Decode(raw)
		if b == nil || strings.Contains(b.Type, "PRIVATE") || bytes.Count(raw, []byte("-----BEGIN")) != 1 {
			t.Fatalf("want %q refused", raw)
		}
		if s.ID() == "" || !strings.HasPrefix(s.Describe(), "key sha256:") {
			t.Fatalf("got ID %q, %q", s.ID(), s.Describe())
		}
	})
}
