from wit_world import exports
from wit_world.exports.gate import Failed, Finding, Passed, Severity, Verdict_Fail, Verdict_Pass
from wit_world.imports import repo


class Gate(exports.Gate):
    def validate(self, settings):
        return []

    def evaluate(self, subject):
        findings = []
        for file in repo.changes():
            lines = repo.diff(file.path).decode(errors="replace").splitlines()
            if any(line.startswith("+") and "FIXME" in line for line in lines):
                findings.append(Finding("fixme", Severity.MAJOR, "A FIXME was added", "", file.path, None, None))
        if findings:
            return Verdict_Fail(Failed(findings, []))
        return Verdict_Pass(Passed("nothing was left for later", [], []))
