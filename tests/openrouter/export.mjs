// The answers that OpenRouter's SDK parses, by our operationId.
//   node export.mjs schemas   prints the SDK's parsers as JSON Schemas: schemas.json
//   node export.mjs parse     reads [{operation, body}] from stdin, prints the faults that the SDK's own parsers find
import { readFileSync } from "node:fs";
import * as models from "@openrouter/sdk/models";
import * as operations from "@openrouter/sdk/models/operations";
import * as z from "zod/v4";

const PARSERS = {
  get_own_key: operations.GetCurrentKeyResponse$inboundSchema,
  list_keys: operations.ListResponse$inboundSchema,
  create_key: operations.CreateKeysResponse$inboundSchema,
  get_key: operations.GetKeyResponse$inboundSchema,
  change_key: operations.UpdateKeysResponse$inboundSchema,
  delete_key: operations.DeleteKeysResponse$inboundSchema,
  list_byok: models.ListBYOKKeysResponse$inboundSchema,
  create_byok: models.CreateBYOKKeyResponse$inboundSchema,
  get_byok: models.GetBYOKKeyResponse$inboundSchema,
  change_byok: models.UpdateBYOKKeyResponse$inboundSchema,
  delete_byok: models.DeleteBYOKKeyResponse$inboundSchema,
  list_presets: models.ListPresetsResponse$inboundSchema,
  get_preset: models.GetPresetResponse$inboundSchema,
  list_models: models.ModelsListResponse$inboundSchema,
  get_model: models.Model$inboundSchema, // OpenAI's answer is the bare object
  get_credits: operations.GetCreditsResponse$inboundSchema,
};

function schemas() {
  const found = Object.fromEntries(
    Object.entries(PARSERS).map(([name, parser]) => [name, z.toJSONSchema(parser, { io: "input", unrepresentable: "any" })]),
  );
  console.log(JSON.stringify(found, shorter, 1));
}

/** An open enum is any string; every integer has JavaScript's bounds. */
function shorter(name, value) {
  const isBound = (name === "minimum" || name === "maximum") && Math.abs(value) === Number.MAX_SAFE_INTEGER;
  const isOpen = value?.anyOf?.some((one) => one.type === "string" && Object.keys(one).length === 1);
  if (isBound) return undefined;
  return isOpen ? { anyOf: value.anyOf.filter((one) => one.type !== "string" || !("const" in one)) } : value;
}

function parse() {
  const answers = JSON.parse(readFileSync(0, "utf8"));
  const faults = answers.flatMap(({ operation, body }) => {
    const parsed = PARSERS[operation].safeParse(body);
    return parsed.success ? [] : parsed.error.issues.map((issue) => `${operation}: ${issue.path.join(".")}: ${issue.message}`);
  });
  console.log(JSON.stringify(faults));
}

({ schemas, parse })[process.argv[2]]();
