"""Records what a client can do against our server: one JSON line for each capability on standard output."""
import json
import os
import traceback

ROOT = os.environ["KAKEYA_BASE"]
BASE = ROOT + "/v1"
MODEL = os.environ["KAKEYA_MODEL"]
QUESTION = "Tom has 3 apples and buys 4 more. How many apples does he have?"
ASK = [{"role": "user", "content": QUESTION}]
WEATHER = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "unit": {"enum": ["C", "F"]}},
    "required": ["city", "unit"], "additionalProperties": False}}}


class Report:
    def __init__(self, client, version):
        self.client, self.version = client, version

    def check(self, capability):
        """Runs the decorated function at once."""
        def run(function):
            result, detail = "pass", ""
            try:
                function()
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                result, detail = "fail", f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}:{where.lineno})"[:500]
            print(json.dumps({"client": self.client, "version": self.version, "capability": capability, "result": result, "detail": detail}), flush=True)
        return run
