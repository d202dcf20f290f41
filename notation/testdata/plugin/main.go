// Command plugin is a verification plugin whose configuration says how it
// behaves.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
)

const (
	identity   = "SIGNATURE_VERIFIER.TRUSTED_IDENTITY"
	revocation = "SIGNATURE_VERIFIER.REVOCATION_CHECK"
)

type request struct {
	Config    map[string]string `json:"pluginConfig"`
	Signature struct {
		Unprocessed []string `json:"unprocessedAttributes"`
	} `json:"signature"`
	TrustPolicy struct {
		Capabilities []string `json:"signatureVerification"`
	} `json:"trustPolicy"`
}

// run is what a plugin saw of its surroundings.
type run struct {
	Arguments   []string
	Environment []string
	Folder      string
	Request     json.RawMessage
}

func main() {
	if os.Args[1] == "child" {
		hang(os.Args[2])
	}
	in := bufio.NewReader(os.Stdin)
	var raw json.RawMessage
	var r request
	if err := json.NewDecoder(in).Decode(&raw); err != nil {
		panic(err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		panic(err)
	}
	record(r.Config["record"], raw)
	if os.Args[1] == "get-plugin-metadata" {
		describe(r)
		return
	}
	verify(r)
}

func record(file string, raw json.RawMessage) {
	if file == "" {
		return
	}
	folder, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	line, err := json.Marshal(run{os.Args, os.Environ(), folder, raw})
	if err != nil {
		panic(err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		panic(err)
	}
}

func describe(r request) {
	capabilities := []string{identity, revocation}
	if c, set := r.Config["capabilities"]; set {
		capabilities = strings.Split(c, ",")
	}
	answer := map[string]any{
		"name": "acme", "description": "A test.", "version": "1.2.3", "url": "https://acme.example",
		"supportedContractVersions": []string{"1.0"}, "capabilities": capabilities,
	}
	switch r.Config["metadata"] {
	case "OtherName":
		answer["name"] = "other"
	case "OtherContract":
		answer["supportedContractVersions"] = []string{"2.0"}
	case "NoVersion":
		answer["version"] = "1.2"
	case "WrongType":
		answer["capabilities"] = "all"
	case "Garbage":
		fmt.Println("hello")
		return
	}
	write(answer)
}

func verify(r request) {
	results := map[string]any{}
	for _, c := range r.TrustPolicy.Capabilities {
		results[c] = map[string]any{"success": true}
	}
	answer := map[string]any{"verificationResults": results, "processedAttributes": r.Signature.Unprocessed}
	switch r.Config["mode"] {
	case "NoIdentity":
		results[identity] = map[string]any{"success": false, "reason": "not mine: " + r.Config["token"]}
	case "NoRevocation":
		results[revocation] = map[string]any{"success": false, "reason": "revoked"}
	case "Missing":
		delete(results, revocation)
	case "Null":
		results[revocation] = nil
	case "NoSuccess":
		results[revocation] = map[string]any{"reason": "it is fine"}
	case "Extra":
		results["SIGNATURE_VERIFIER.EVERYTHING"] = map[string]any{"success": true}
	case "WrongType":
		results[revocation] = map[string]any{"success": "true"}
	case "Unprocessed":
		answer["processedAttributes"] = []any{1, nil, "other"}
	case "Empty":
		return
	case "Twice":
		fmt.Print(`{"verificationResults":{"` + identity + `":{"success":false},"` + identity + `":{"success":true},"` + revocation + `":{"success":true}}}`)
		return
	case "Text":
		os.Stdout.WriteString("\xff\xfe{}")
		return
	case "Trailing":
		write(answer)
	case "Crash":
		fmt.Fprintln(os.Stderr, "panic: "+r.Config["token"])
		os.Exit(3)
	case "Refuse":
		fmt.Fprintf(os.Stderr, `{"errorCode":"THROTTLED","errorMessage":"too often for %s"}`, r.Config["token"])
		os.Exit(1)
	case "Succeed1": // a good answer, and the exit code of a failure
		write(answer)
		os.Exit(1)
	case "Flood":
		for {
			os.Stdout.WriteString(strings.Repeat("x", 4096))
		}
	case "FloodErrors":
		for {
			os.Stderr.WriteString(strings.Repeat("x", 4096))
		}
	case "Long": // a good answer, but for its length
		os.Stdout.WriteString(strings.Repeat(" ", 1<<20))
	case "LongErrors":
		os.Stderr.WriteString(strings.Repeat("x", 64<<10+1))
	case "Hang":
		child(r.Config["dial"])
		hang(r.Config["dial"])
	case "LeaveChild":
		child(r.Config["dial"])
	}
	write(answer)
}

// child starts one that holds our streams open.
func child(address string) {
	c := exec.Command("/proc/self/exe", "child", address)
	c.Stdout, c.Stderr = os.Stdout, os.Stderr
	if err := c.Start(); err != nil {
		panic(err)
	}
}

// hang tells the test that it is there, and stays.
func hang(address string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		panic(err)
	}
	for {
		if _, err := c.Read(make([]byte, 1)); err != nil {
			os.Exit(4)
		}
	}
}

func write(answer any) {
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		panic(err)
	}
}
