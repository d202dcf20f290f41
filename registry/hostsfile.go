package registry

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"github.com/bonafide-dev/bonafide/imageref"
)

// Bounds of the file that [ReadHosts] reads, an operator's: they keep a slip,
// such as a wrong path, from taking the memory.
const (
	maxHostsFile  = 1 << 20
	maxHostsGiven = 512 // registries
	// maxMirrors bounds a registry's mirrors: each that does not answer costs
	// time before the next is asked.
	maxMirrors = 4
)

// hostsDocument is the file.
type hostsDocument struct {
	Registries []hostDocument `yaml:"registries"`
}

type hostDocument struct {
	Host string `yaml:"host"`
	// CAFile holds the PEM certificates of the authorities that the host's
	// certificate is verified by, in place of the system's.
	CAFile                string           `yaml:"caFile"`
	ClientCertificateFile string           `yaml:"clientCertificateFile"`
	ClientKeyFile         string           `yaml:"clientKeyFile"`
	Allowed               bool             `yaml:"allowed"`  // as Options.AllowedHosts
	Insecure              bool             `yaml:"insecure"` // as Options.InsecureHosts
	Mirrors               []mirrorDocument `yaml:"mirrors"`
}

type mirrorDocument struct {
	Host   string `yaml:"host"`
	Prefix string `yaml:"prefix"`
	Tags   bool   `yaml:"tags"`
}

// parseHosts reads the YAML: one document, each field known and given once.
func parseHosts(data []byte) (hostsDocument, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var doc hostsDocument
	if err := decoder.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return hostsDocument{}, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return hostsDocument{}, errors.New("expected one YAML document, got more")
	}
	if n := len(doc.Registries); n > maxHostsGiven {
		return hostsDocument{}, fmt.Errorf("expected at most %d registries, got %d", maxHostsGiven, n)
	}
	for i, d := range doc.Registries {
		if n := len(d.Mirrors); n > maxMirrors {
			return hostsDocument{}, fmt.Errorf("registries[%d]: expected at most %d mirrors, got %d", i, maxMirrors, n)
		}
	}
	return doc, nil
}

// readTLS returns nil for a host that is met as all others are.
func (d hostDocument) readTLS(folder string) (*hostTLS, error) {
	if d.CAFile == "" && d.ClientCertificateFile == "" && d.ClientKeyFile == "" {
		return nil, nil
	}
	if d.Insecure && d.CAFile != "" {
		return nil, errors.New("expected caFile or insecure, got both")
	}
	sum := sha256.New()
	settings := &hostTLS{}
	if d.CAFile != "" {
		pem, err := readBounded(beside(folder, d.CAFile))
		if err != nil {
			return nil, fmt.Errorf("caFile: %w", err)
		}
		settings.roots = x509.NewCertPool()
		if !settings.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("caFile: expected PEM certificates in %q, got none", d.CAFile)
		}
		fmt.Fprintf(sum, "ca %d %s", len(pem), pem)
	}
	if d.ClientCertificateFile != "" || d.ClientKeyFile != "" {
		pair, content, err := d.readPair(folder)
		if err != nil {
			return nil, err
		}
		settings.certificates = []tls.Certificate{pair}
		fmt.Fprintf(sum, "pair %d %s", len(content), content)
	}
	sum.Sum(settings.sum[:0])
	return settings, nil
}

func (d hostDocument) readPair(folder string) (pair tls.Certificate, content []byte, err error) {
	if d.ClientCertificateFile == "" || d.ClientKeyFile == "" {
		return pair, nil, errors.New("expected clientCertificateFile and clientKeyFile, got one of them")
	}
	certificate, err := readBounded(beside(folder, d.ClientCertificateFile))
	if err != nil {
		return pair, nil, fmt.Errorf("clientCertificateFile: %w", err)
	}
	key, err := readBounded(beside(folder, d.ClientKeyFile))
	if err != nil {
		return pair, nil, fmt.Errorf("clientKeyFile: %w", err)
	}
	pair, err = tls.X509KeyPair(certificate, key)
	if err != nil {
		// What is wrong is left out: the text is about the content of a key.
		return pair, nil, fmt.Errorf("expected %q and %q to be a certificate and its key", d.ClientCertificateFile, d.ClientKeyFile)
	}
	return pair, append(append(certificate, 0), key...), nil
}

// beside resolves a name beside the file that names it.
func beside(folder, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(folder, name)
}

// mirror checks a mirror of the host with this key.
func (d mirrorDocument) mirror(of string) (mirror, error) {
	key, err := canonicalHost(d.Host)
	if err != nil {
		return mirror{}, fmt.Errorf("host: %w", err)
	}
	if key == of {
		return mirror{}, fmt.Errorf("host: expected another host than the registry's, got %q", d.Host)
	}
	m := mirror{host: key, prefix: d.Prefix, tags: d.Tags}
	sample := imageref.MustParse("registry.example/team/app").Repository()
	if _, err := m.repository(sample); err != nil {
		return mirror{}, fmt.Errorf("expected a host and a prefix of repositories, got %q and %q", clip(d.Host), clip(d.Prefix))
	}
	return m, nil
}
