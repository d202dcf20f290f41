package kube_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// TestFaultsSayALostConnectionOnce: each try has a port of its own.
func TestFaultsSayALostConnectionOnce(t *testing.T) {
	var log strings.Builder
	f := &kube.Faults{Log: slog.New(slog.NewTextHandler(&log, nil)), Duty: "keep it"}
	lost := func(port int, why error) error {
		return fmt.Errorf("read the Secret: %w", &url.Error{Op: "Get", URL: "https://10.96.0.1/api", Err: &net.OpError{
			Op: "read", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}, Addr: &net.TCPAddr{IP: net.IPv4(10, 96, 0, 1), Port: 443}, Err: why,
		}})
	}
	for port := range 10 {
		f.Note(t.Context(), lost(40000+port, syscall.ECONNRESET))
	}
	f.Note(t.Context(), lost(40010, syscall.ETIMEDOUT))
	f.Note(t.Context(), nil)
	if got := strings.Count(log.String(), "\n"); got != 3 || !strings.Contains(log.String(), "can keep it again") {
		t.Errorf("want a line for each of two faults and one for their end, got %d:\n%s", got, log.String())
	}
}
