package pipeline

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"reqpm/internal/builder"
	"reqpm/internal/plan"
	"reqpm/internal/repo"
	"reqpm/internal/spec"
)

// hostRPM is implemented by base roots whose host has no RPM database: the package that
// stands for the host in dnf's eyes, published beside ours.
type hostRPM interface{ HostRPM() string }

// Publishing says where a set goes.
type Publishing struct {
	Project string // folder name of the project
	Channel string
	KeyFile string    // armored private key; "": one of our own, made at first use
	Time    time.Time // of the commit
	Logs    string
}

// Published is a repository and the names that install everything in it.
type Published struct {
	Snapshot repo.Snapshot
	SetName  string // the package that requires the whole locked set
}

// Publish signs the run-time set of a finished run into a new snapshot of the
// project's repository. outcomes must all be built or reused.
func (p *Pipeline) Publish(ctx context.Context, work *Work, outcomes map[plan.ID]*Outcome, to Publishing) (Published, error) {
	p.stage("publish", "sign and publish the repository")
	base, err := p.openBase(ctx)
	if err != nil {
		return Published{}, err
	}
	set, err := p.buildSet(ctx, base, work, outcomes, to)
	if err != nil {
		return Published{}, fmt.Errorf("build the package that requires the whole set: %w", err)
	}
	key, err := repo.OpenKey(p.paths.keys(), to.KeyFile)
	if err != nil {
		return Published{}, err
	}
	req := repo.PublishRequest{
		Root: filepath.Join(p.paths.repos(), to.Project, to.Channel, p.cfg.Target.Name),
		Key:  key, ID: "reqpm-" + to.Project, Name: "ReqPM " + to.Project + " for " + p.cfg.Target.Name,
		RepodataCompress: "gz",
	}
	for _, b := range append(runtimeBuilds(work, outcomes), set) {
		for _, r := range b.RPMs {
			req.RPMs = append(req.RPMs, filepath.Join(b.dir, r.File))
		}
		if b.SRPM != "" {
			req.SRPMs = append(req.SRPMs, filepath.Join(b.dir, b.SRPM))
		}
	}
	if h, ok := base.(hostRPM); ok && h.HostRPM() != "" {
		req.RPMs = append(req.RPMs, h.HostRPM())
	}
	snapshot, err := repo.Publish(ctx, req)
	return Published{Snapshot: snapshot, SetName: set.RPMs[0].Name}, err
}

// buildSet makes the package that requires every published package in its exact version, so
// that one name installs the set as it was locked.
func (p *Pipeline) buildSet(ctx context.Context, base builder.Base, work *Work, outcomes map[plan.ID]*Outcome, to Publishing) (*Built, error) {
	in := spec.SetInput{Target: p.Target(), Project: to.Project, UploadTime: to.Time}
	var members []string
	for _, id := range work.Plan.Order() {
		o := outcomes[id]
		if !o.Runtime || o.built == nil {
			continue
		}
		if uploaded := work.builds[id].file.UploadTime; uploaded.After(in.UploadTime) {
			in.UploadTime = uploaded
		}
		for _, r := range o.built.RPMs {
			in.Packages = append(in.Packages, spec.SetPackage{Name: r.Name, Epoch: r.Epoch, Version: r.Version, Release: r.Release})
			members = append(members, r.NEVRA)
		}
	}
	// The newest thing in it dates a set: a later set has the higher version, the same
	// set the same one.
	in.Version = in.UploadTime.UTC().Format("20060102.150405")
	out, err := spec.WriteSet(in)
	if err != nil {
		return nil, err
	}
	b := &pkgBuild{id: plan.NewID(out.Name, out.Version), name: out.Name, version: out.Version, set: true}
	b.spec = specFiles{fileName: out.FileName, text: out.Text, canonical: out.Text,
		sources: []sourceFile{{name: out.ListName, data: out.List, sha256: digest(members)}}}
	b.key = contentKey(base.ID(), b, nil)
	if cached := p.cachedBuild(b.key); cached != nil {
		return cached, nil
	}
	unlock, err := p.lockKey(ctx, b.key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if cached := p.cachedBuild(b.key); cached != nil {
		return cached, nil // another process made it while we waited
	}
	r := &run{p: p, work: work, logs: to.Logs}
	return r.buildOnce(ctx, b, nil, 1)
}

// runtimeBuilds are the results that are published, in plan order.
func runtimeBuilds(work *Work, outcomes map[plan.ID]*Outcome) []*Built {
	var list []*Built
	for _, id := range work.Plan.Order() {
		if o := outcomes[id]; o.Runtime && o.built != nil {
			list = append(list, o.built)
		}
	}
	return list
}

// Proof is what happened when the published set was installed into a fresh root.
type Proof struct {
	OK        bool              `json:"ok"`
	Installed []string          `json:"installed"`
	Imported  []string          `json:"imported"`
	NotImport map[string]string `json:"not_imported,omitempty"` // package → error; reported, not fatal
	Command   *CommandResult    `json:"command,omitempty"`
	Log       string            `json:"log"`
}

// CommandResult is what the user's own proof command did.
type CommandResult struct {
	Status int    `json:"status"`
	Output string `json:"output"`
}

//go:embed proof.py
var proofScript string

// Verify is the proof of installability: dnf installs the set by its one name, checking every
// signature, into a fresh root that has only the base and the published repository; then
// everything is imported, and command is run in the root when there is one.
func (p *Pipeline) Verify(ctx context.Context, work *Work, outcomes map[plan.ID]*Outcome, published Published, logDir, command string) (Proof, error) {
	p.stage("verify", "install "+published.SetName+" into a fresh root and import it")
	base, err := p.openBase(ctx)
	if err != nil {
		return Proof{}, err
	}
	job := struct {
		Imports map[string][]string `json:"imports"`
		Command string              `json:"command"`
	}{map[string][]string{}, command}
	for _, b := range runtimeBuilds(work, outcomes) {
		for _, r := range b.RPMs {
			if len(r.TopLevel) > 0 {
				job.Imports[b.Name] = append(job.Imports[b.Name], r.TopLevel...)
			}
		}
	}
	script, err := json.Marshal(job)
	if err != nil {
		return Proof{}, err
	}
	proof := Proof{Installed: []string{}, Imported: []string{}, Log: filepath.Join(logDir, "verify.log")}
	if err := os.MkdirAll(logDir, 0o755); err != nil { // a run that built nothing has made no log yet
		return proof, err
	}
	var out bytes.Buffer
	result, err := base.Verify(ctx, builder.Verification{
		RepoFile: published.Snapshot.RepoFile, Install: []string{published.SetName}, Log: proof.Log, Network: true, Stdout: &out,
		Script: []string{p.Target().Python.Executable, "-c", proofScript, string(script)},
	})
	if err != nil {
		return proof, fmt.Errorf("the published set does not install: %w", err)
	}
	var said struct {
		Imported []string          `json:"imported"`
		Failed   map[string]string `json:"failed"`
		Command  *CommandResult    `json:"command"`
	}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		return proof, fmt.Errorf("read what the proof printed: %w", err)
	}
	proof.Installed, proof.Imported, proof.NotImport, proof.Command = result.Installed, said.Imported, said.Failed, said.Command
	slices.Sort(proof.Installed)
	proof.OK = proof.Command == nil || proof.Command.Status == 0
	return proof, nil
}
