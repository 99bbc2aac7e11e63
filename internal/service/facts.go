package service

import (
	"encoding/json"

	"reqpm/internal/source"
	"reqpm/internal/store"
)

// ProjectFacts are what people say of a project, by name and flat: for the audit log, which notes what of it was and is.
// What is absent is not said; an address has no password in it.
func ProjectFacts(p store.Project) map[string]any {
	facts := map[string]any{"git_url": source.Redacted(p.GitURL), "ref": p.Ref, "requirement_files": append([]string{}, p.RequirementFiles...), "targets": append([]string{}, p.Targets...), "sync": p.Sync}
	var s Settings
	if json.Unmarshal(p.Settings, &s) != nil {
		return facts // what was checked when it was written
	}
	for name, values := range s.Options {
		facts["option "+name] = values
	}
	for name, text := range s.Overrides {
		facts["override "+name] = text
	}
	facts["channel"], facts["proof_command"], facts["no_proof"] = s.Channel, s.ProofCommand, s.NoProof
	return facts
}
