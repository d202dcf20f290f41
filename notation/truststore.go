package notation

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/notaryproject/notation-go/verifier/truststore"
)

// StoreType says what the certificates of a trust store may vouch for.
type StoreType string

// The types (trust-store-trust-policy.md, "Trust Store").
const (
	CA               StoreType = "ca"               // signers of the scheme notary.x509
	SigningAuthority StoreType = "signingAuthority" // signers of the scheme notary.x509.signingAuthority
	TSA              StoreType = "tsa"              // timestamp authorities
)

// TrustStore is a named set of certificates that a signer trusts.
type TrustStore struct {
	Type StoreType
	// Name is how documents refer to the store; [New] ignores it.
	Name         string
	Certificates []*x509.Certificate
}

// Bounds of trust stores. They are the operator's or a tenant's, not the
// registry's, but are copied into memory and looked through for each signature.
const (
	maxStores       = 100     // per signer or folder
	maxCertificates = 1000    // per store: the public web has fewer roots than that
	maxStoreFile    = 1 << 20 // bytes; a bundle of all public roots is smaller
)

// ParseCertificates reads the certificates of a trust store from PEM, or from
// one or more certificates in DER. Anything else in data is an error, and so
// is data without a certificate. The caller bounds the length of data.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	if !bytes.Contains(data, []byte("-----BEGIN")) {
		certificates, err := x509.ParseCertificates(data)
		if err != nil {
			return nil, fmt.Errorf("expected certificates in PEM or DER: %w", err)
		}
		return nonEmpty(certificates)
	}
	var certificates []*x509.Certificate
	for rest := data; len(bytes.TrimSpace(rest)) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("expected PEM blocks only, got other text after them")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("expected PEM blocks of type CERTIFICATE, got %q", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, c)
	}
	return nonEmpty(certificates)
}

func nonEmpty(certificates []*x509.Certificate) ([]*x509.Certificate, error) {
	if len(certificates) == 0 {
		return nil, errors.New("expected at least one certificate, got none")
	}
	return certificates, nil
}

// check applies the specification's rules for a store's content
// (trust-store-trust-policy.md, "Trust Store"): certificates of authorities or
// self-signed ones, and roots for timestamp authorities.
func (s TrustStore) check() error {
	if !slices.Contains([]StoreType{CA, SigningAuthority, TSA}, s.Type) {
		return fmt.Errorf("expected trust store type %q, %q or %q, got %q", CA, SigningAuthority, TSA, s.Type)
	}
	if n := len(s.Certificates); n == 0 || n > maxCertificates {
		return fmt.Errorf("expected 1 to %d certificates, got %d", maxCertificates, n)
	}
	if slices.Contains(s.Certificates, nil) {
		return errors.New("expected certificates, got a nil one")
	}
	if err := truststore.ValidateCertificates(s.Certificates); err != nil {
		return fmt.Errorf("expected certificates of authorities or self-signed ones: %w", err)
	}
	for _, c := range s.Certificates {
		if err := checkKey(c); err != nil {
			return err
		}
		if s.Type == TSA && !isRoot(c) {
			return fmt.Errorf("expected self-signed roots of timestamp authorities, got %q", c.Subject)
		}
	}
	return nil
}

func isRoot(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil
}

// LoadTrustStores reads the folder that holds x509/<type>/<name>/*.{pem,crt,cer},
// as notation lays it out. What does not belong into x509 is an error: another
// type, a name with other characters than letters, digits, '_', '.' and '-', a
// file beside a store, a symbolic link, a folder in a store, an empty store.
func LoadTrustStores(fsys fs.FS) ([]TrustStore, error) {
	return tree{FS: fsys}.stores()
}

func (t tree) stores() ([]TrustStore, error) {
	var stores []TrustStore
	kinds, err := t.folders(".", "x509")
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		names, err := t.folders(path.Join("x509", kind))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if len(stores) == maxStores {
				return nil, fmt.Errorf("x509: expected at most %d trust stores, got more", maxStores)
			}
			s, err := t.load(StoreType(kind), name)
			if err != nil {
				return nil, err
			}
			stores = append(stores, s)
		}
	}
	return stores, nil
}

// folders returns the names of dir's entries, which must be folders. With only,
// it looks for that one and returns its entries instead: what else lies beside
// x509 is not ours.
func (t tree) folders(dir string, only ...string) ([]string, error) {
	entries, err := t.entries(dir)
	if err != nil {
		return nil, fmt.Errorf("read trust store folder: %w", err)
	}
	var names []string
	for _, e := range entries {
		if len(only) > 0 && e.Name() != only[0] {
			continue
		}
		if !e.IsDir() {
			return nil, fmt.Errorf("%s: expected a folder, got a %s", path.Join(dir, e.Name()), kindOf(e))
		}
		names = append(names, e.Name())
	}
	if len(only) == 0 {
		return names, nil
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("expected a folder %q in the trust store, got none", only[0])
	}
	return t.folders(path.Join(dir, only[0]))
}

func kindOf(e fs.DirEntry) string {
	switch t := e.Type(); {
	case t&fs.ModeSymlink != 0:
		return "symbolic link"
	case t.IsDir():
		return "folder"
	case t.IsRegular():
		return "file"
	}
	return "special file"
}

func (t tree) load(kind StoreType, name string) (TrustStore, error) {
	dir := path.Join("x509", string(kind), name)
	if !validStoreName(name) {
		return TrustStore{}, fmt.Errorf("%s: expected a store name of letters, digits, '_', '.' and '-'", dir)
	}
	entries, err := t.entries(dir)
	if err != nil {
		return TrustStore{}, fmt.Errorf("read trust store: %w", err)
	}
	s := TrustStore{Type: kind, Name: name}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if !e.Type().IsRegular() {
			return TrustStore{}, fmt.Errorf("%s: expected a regular file, got a %s", file, kindOf(e))
		}
		if ext := path.Ext(e.Name()); ext != ".pem" && ext != ".crt" && ext != ".cer" {
			return TrustStore{}, fmt.Errorf("%s: expected a file named *.pem, *.crt or *.cer", file)
		}
		certificates, err := readCertificates(t.FS, file)
		if err != nil {
			return TrustStore{}, fmt.Errorf("%s: %w", file, err)
		}
		s.Certificates = append(s.Certificates, certificates...)
		if len(s.Certificates) > maxCertificates {
			return TrustStore{}, fmt.Errorf("%s: expected at most %d certificates, got more", dir, maxCertificates)
		}
	}
	if err := s.check(); err != nil {
		return TrustStore{}, fmt.Errorf("%s: %w", dir, err)
	}
	return s, nil
}

func readCertificates(fsys fs.FS, file string) ([]*x509.Certificate, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, fmt.Errorf("open certificates: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	var data bytes.Buffer
	if _, err := io.Copy(&data, io.LimitReader(f, maxStoreFile+1)); err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	if data.Len() > maxStoreFile {
		return nil, fmt.Errorf("expected at most %d bytes, got more", maxStoreFile)
	}
	return ParseCertificates(data.Bytes())
}

// validStoreName is the specification's [a-zA-Z0-9_.-]+, without the two names
// that mean another folder.
func validStoreName(name string) bool {
	if name == "" || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
