package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// newKey returns a public key, as DER and as PEM.
func newPublicKey(t *testing.T) (der []byte, text string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err = x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return der, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// TestKeyOfVault asks a fake of Vault's API (transit engine, "Read key") on
// loopback.
func TestKeyOfVault(t *testing.T) {
	_, first := newPublicKey(t)
	_, second := newPublicKey(t)
	version := "1"
	fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/transit/keys/release" || r.Header.Get("X-Vault-Token") != "the-token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{
			"type": "ecdsa-p256", "latest_version": json.Number(version),
			"keys": map[string]any{"1": map[string]any{"public_key": first}, "2": map[string]any{"public_key": second}},
		}})
	}))
	defer fake.Close()
	t.Setenv("VAULT_ADDR", fake.URL)
	t.Setenv("VAULT_TOKEN", "the-token")
	services := newKeyServices(nil)
	if got, err := services.PublicKey(t.Context(), "hashivault://release"); err != nil || string(got) != first {
		t.Errorf("PublicKey() = %q, %v, want %q", got, err, first)
	}
	version = "2"
	if got, err := services.PublicKey(t.Context(), "hashivault://release"); err != nil || string(got) != second {
		t.Errorf("PublicKey() = %q, %v after a rotation, want %q", got, err, second)
	}
	got, err := services.PublicKey(t.Context(), "hashivault://another")
	if err == nil || got != nil || strings.Contains(err.Error(), "the-token") {
		t.Errorf("PublicKey() = %q, %v of a key that may not be read", got, err)
	}
}

// TestKeyOfAmazon asks a fake of the API of AWS KMS (GetPublicKey, DescribeKey)
// on loopback.
func TestKeyOfAmazon(t *testing.T) {
	der, want := newPublicKey(t)
	fake := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		switch r.Header.Get("X-Amz-Target") {
		case "TrentService.GetPublicKey":
			_ = json.NewEncoder(w).Encode(map[string]any{"KeyId": "k", "PublicKey": der, "SigningAlgorithms": []string{"ECDSA_SHA_256"}})
		case "TrentService.DescribeKey":
			_ = json.NewEncoder(w).Encode(map[string]any{"KeyMetadata": map[string]any{"KeyId": "k", "SigningAlgorithms": []string{"ECDSA_SHA_256"}}})
		default:
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	defer fake.Close()
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(bundle, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fake.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CA_BUNDLE": bundle, "AWS_REGION": "us-east-2", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	} {
		t.Setenv(name, value)
	}
	host := strings.TrimPrefix(fake.URL, "https://")
	uri := "awskms://" + host + "/alias/release"
	got, err := newKeyServices(func(h string) bool { return h == host }).PublicKey(t.Context(), uri)
	if err != nil || string(got) != want {
		t.Errorf("PublicKey() = %q, %v, want %q", got, err, want)
	}
	if got, err := newKeyServices(nil).PublicKey(t.Context(), uri); err == nil || got != nil {
		t.Errorf("PublicKey() = %q, %v of a host that nobody named", got, err)
	}
}

// TestR6KeysOfOtherHosts has policies that name hosts for credentials to go to.
func TestR6KeysOfOtherHosts(t *testing.T) {
	tests := map[string]bool{
		"awskms:///alias/release":                                            true,
		"awskms://kms.us-east-2.amazonaws.com/alias/release":                 true,
		"awskms://KMS.us-east-2.amazonaws.com:443/alias/release":             true,
		"awskms://kms-fips.us-gov-west-1.amazonaws.com/alias/release":        true,
		"awskms://kms.cn-north-1.amazonaws.com.cn/alias/release":             true,
		"awskms://vpce-0a-1b.kms.us-east-1.vpce.amazonaws.com/alias/release": true,
		"awskms://named.example:4566/alias/release":                          true,
		"awskms://named.example/alias/release":                               false,
		"awskms://kms.us-east-2.amazonaws.com:4566/alias/release":            false,
		"awskms://ec2-1-2-3-4.compute-1.amazonaws.com/alias/release":         false,
		"awskms://kms.us-east-2.amazonaws.com.evil.example/alias/release":    false,
		"awskms://evil.example/alias/release":                                false,
		"awskms://169.254.169.254/alias/release":                             false,
		"azurekms://acme.vault.azure.net/release":                            true,
		"azurekms://acme.managedhsm.azure.net/release/0123":                  true,
		"azurekms://acme.vault.usgovcloudapi.net/release":                    true,
		"azurekms://acme/release":                                            false,
		"azurekms://acme.vault.azure.net.evil.example/release":               false,
		"azurekms://a.b.vault.azure.net/release":                             false,
		"azurekms://evil.example/release":                                    false,
		"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k":            true,
		"hashivault://release":                                               true,
	}
	services := newKeyServices(func(host string) bool { return host == "named.example:4566" })
	for uri, want := range tests {
		if err := services.checkHost(uri); (err == nil) != want {
			t.Errorf("checkHost(%q) = %v, want it allowed: %t", uri, err, want)
		}
	}
	if err := services.check("awskms://evil.example/alias/release"); err == nil {
		t.Error("expected a host that nobody named to be refused when a policy is loaded")
	}
	for _, uri := range []string{"other://x", "", "openbao://release", "sigstore-kms-x://y"} {
		if got, err := services.PublicKey(t.Context(), uri); err == nil || got != nil {
			t.Errorf("PublicKey(%q) = %q, want a scheme that nobody serves refused", uri, got)
		}
	}
}

// TestFormsOfKeyURIs: what no service could answer is a mistake in a policy, and
// must not look like an outage.
func TestFormsOfKeyURIs(t *testing.T) {
	services := newKeyServices(nil)
	for uri, want := range map[string]bool{
		"awskms:///alias/release":                        true,
		"awskms:///1234abcd-12ab-34cd-56ef-1234567890ab": true,
		"awskms:///arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab": true,
		"awskms:///arn:aws:kms:us-east-2:111122223333:alias/release":                            true,
		"awskms://alias/release":                                                      false,
		"awskms:///release":                                                           false,
		"azurekms://acme.vault.azure.net/release":                                     true,
		"azurekms://acme.vault.azure.net/release/0123":                                true,
		"azurekms://acme.vault.azure.net":                                             false,
		"azurekms://acme.vault.azure.net/keys/release/0123":                           false,
		"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k":                     true,
		"gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1": true,
		"gcpkms://projects/a":                                                         false,
		"hashivault://release":                                                        true,
		"hashivault://a/b":                                                            false,
	} {
		if err := services.check(uri); (err == nil) != want {
			t.Errorf("check(%q) = %v, want it taken: %t", uri, err, want)
		}
	}
}
