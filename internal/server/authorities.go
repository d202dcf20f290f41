package server

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"sync"
	"time"
)

// FileAuthorities are authorities of client certificates that follow their
// file. Its Pool is an [Options.AdmissionClients] or
// [Options.GatekeeperClients]. It is safe for concurrent use.
type FileAuthorities struct {
	file   string
	now    func() time.Time
	failed func(error)

	mu     sync.Mutex
	looked time.Time
	raw    []byte
	pool   *x509.CertPool
}

// AuthorityFile loads authorities from a PEM file. The file is looked at again
// when a request asks, every few seconds at most; if it has changed and does
// not load, the last good authorities stay and failed, which may be nil, is
// told.
func AuthorityFile(file string, now func() time.Time, failed func(error)) (*FileAuthorities, error) {
	f := &FileAuthorities{file: file, now: now, failed: failed, looked: now()}
	if err := f.load(); err != nil {
		return nil, err
	}
	return f, nil
}

// Pool returns the current authorities: the same pool until the file changes.
func (f *FileAuthorities) Pool() *x509.CertPool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); now.Sub(f.looked) >= certificatePoll {
		f.looked = now
		if err := f.load(); err != nil && f.failed != nil {
			f.failed(err)
		}
	}
	return f.pool
}

// load compares by content, as certificates' files are.
func (f *FileAuthorities) load() error {
	raw, err := readFile(f.file)
	if err != nil {
		return err
	}
	if f.pool != nil && bytes.Equal(raw, f.raw) {
		return nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(raw) {
		return fmt.Errorf("server: expected certificates in PEM in %q, got none", f.file)
	}
	f.raw, f.pool = raw, pool
	return nil
}
